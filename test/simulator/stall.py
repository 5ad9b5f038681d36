"""Two listeners at which a connection gets nowhere."""

import asyncio
import socket

# A backlog of 0 holds one connection on Linux; some more fill it for certain.
FILLERS = 4


class ConnectStall:
    """TCP connects to it never complete: its backlog is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.fillers = [self.fill() for _ in range(FILLERS)]

    def fill(self):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(self.listener.getsockname())
        return filler

    @property
    def port(self):
        return self.listener.getsockname()[1]


class Silence(asyncio.Protocol):
    """Accepts, reads, and says nothing: a TLS hello is never answered."""
