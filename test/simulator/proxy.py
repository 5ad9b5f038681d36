"""An HTTP CONNECT proxy that keeps a list of what it was asked.

It tunnels to loopback only: a test must not reach the world by mistake.
"""

import asyncio
import ipaddress

MAX_HEAD = 65536


def is_loopback(host):
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Relay(asyncio.Protocol):
    """One end of a tunnel: what it reads, the other end writes."""

    def __init__(self):
        self.transport = None
        self.peer = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.peer.transport.write(data)

    def pause_writing(self):
        self.peer.transport.pause_reading()

    def resume_writing(self):
        self.peer.transport.resume_reading()

    def eof_received(self):
        self.peer.transport.write_eof()
        return True             # stay half open, as TCP does

    def connection_lost(self, error):
        if self.peer:
            self.peer.transport.close()


class Proxy(Relay):
    """The client's end, which begins with a CONNECT request."""

    def __init__(self, exchange):
        super().__init__()
        self.exchange = exchange
        self.inbox = b""
        self.job = None

    def data_received(self, data):
        if self.peer:
            super().data_received(data)
            return
        self.inbox += data
        if b"\r\n\r\n" in self.inbox and not self.job:
            self.take_request()
        elif len(self.inbox) > MAX_HEAD:
            self.refuse("431 Request Header Fields Too Large")

    def eof_received(self):
        return self.peer and super().eof_received()

    def connection_lost(self, error):
        if self.job:
            self.job.cancel()
        super().connection_lost(error)

    def take_request(self):
        block, _, self.inbox = self.inbox.partition(b"\r\n\r\n")
        line, *fields = block.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value
                   in (field.partition(":") for field in fields)}
        self.exchange.stats.proxy_requests.append(
            {"line": line, "headers": headers})
        method, target = (line.split(" ") + [""])[:2]
        host, _, port = target.rpartition(":")
        status = self.exchange.config["proxy"]["status"]
        if status:
            self.refuse("%d As Configured" % status)
        elif method != "CONNECT":
            self.refuse("405 Method Not Allowed")
        elif not is_loopback(host) or not port.isdecimal():
            self.refuse("403 Forbidden")
        else:
            loop = asyncio.get_running_loop()
            self.job = loop.create_task(self.connect(host, int(port)))

    async def connect(self, host, port):
        loop = asyncio.get_running_loop()
        try:
            _, peer = await loop.create_connection(Relay, host.strip("[]"),
                                                   port)
        except OSError:
            self.refuse("502 Bad Gateway")
            return
        peer.peer, self.peer = self, peer
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self.inbox:
            peer.transport.write(self.inbox)

    def refuse(self, status):
        self.transport.write(b"HTTP/1.1 %s\r\nConnection: close\r\n"
                             b"Content-Length: 0\r\n\r\n" % status.encode())
        self.transport.close()
