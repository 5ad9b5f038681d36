"""HTTP/1.1 on the wire: bytes in, requests out, bytes back.

A Connection reads one request at a time, hands it to its app, and sends what
it is given; framing an answer is the app's affair, so that a fault can frame
it wrongly.  Heads are parsed once and remembered, as a client repeats itself:
this, and no coroutine on the ordinary way, keeps a request below 100 µs.

The app provides opened(c), handle(c, head, body), malformed(c, status),
finished(c, aborted) and closed(c).
"""

import asyncio
import functools
import re
import socket
import struct

MAX_HEAD = 65536        # three credentials of 8 kB fit twice
MAX_BODY = 1 << 20

FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) (HTTP/1\.[01])")


class Head:
    """A parsed request head.  Compared by identity, which makes a cheap key
    for whatever is remembered about requests with the very same head."""

    def __init__(self, block):
        lines = block.decode("latin-1").split("\r\n")
        match = REQUEST_LINE.fullmatch(lines[0])
        if not match:
            raise ValueError("bad request line")
        self.method, self.path, self.version = match.groups()
        self.headers = headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            name = name.lower()
            # Repeating a header is not always wrong, but no client of ours
            # has a reason to.
            if not (colon and FIELD_NAME.fullmatch(name)) or name in headers:
                raise ValueError("bad header line")
            headers[name] = value.strip(" \t")
        self.length = self.body_length()
        self.gzip = "gzip" in headers.get("accept-encoding", "")
        self.expects = headers.get("expect", "").lower() == "100-continue"
        connection = headers.get("connection", "").lower()
        self.keep_alive = (connection != "close" and
                           (self.version == "HTTP/1.1"
                            or connection == "keep-alive"))
        # nginx in front tells how it was reached itself.
        self.version = headers.pop("x-front-protocol", self.version)
        self.front_connection = headers.pop("x-front-connection", None)

    def body_length(self):
        if "transfer-encoding" in self.headers:
            raise ValueError("chunked requests are not understood")
        length = self.headers.get("content-length", "0")
        if not re.fullmatch("[0-9]{1,7}", length) or int(length) > MAX_BODY:
            raise ValueError("bad content-length")
        return int(length)


@functools.lru_cache(maxsize=1024)
def parse_head(block):
    return Head(block)


class Connection(asyncio.Protocol):
    def __init__(self, app):
        self.app = app
        self.transport = None
        self.inbox = b""
        self.busy = False       # a request is being answered
        self.continued = False  # its 100 Continue was sent
        self.ending = None      # keep alive? once the last byte is out
        self.job = None         # timer or task that will answer
        self.drained = None     # future of a task that waits for the kernel

    # --- from asyncio ---

    def connection_made(self, transport):
        self.transport = transport
        # An answer is done when the kernel has all of it, not before.  (0
        # would be "always full" to asyncio's TLS.)
        transport.set_write_buffer_limits(high=1, low=0)
        self.app.opened(self)

    def data_received(self, data):
        self.inbox = self.inbox + data if self.inbox else data
        if not self.busy:
            self.take_request()

    def pause_writing(self):
        self.drained = asyncio.get_running_loop().create_future()

    def resume_writing(self):
        drained, self.drained = self.drained, None
        drained.set_result(None)
        if self.ending is not None:
            # Not at once: asyncio's sockets are not to be closed from here.
            asyncio.get_running_loop().call_soon(self.flushed)

    def flushed(self):
        if self.busy:
            self.finish(self.ending)

    def connection_lost(self, error):
        if self.job:
            self.job.cancel()
        if self.busy:
            self.busy = False
            self.app.finished(self, aborted=True)
        self.app.closed(self)

    # --- to the app ---

    def resumed(self):
        """Whether the connection took up an earlier one's TLS session."""
        tls = self.transport.get_extra_info("ssl_object")
        return tls is not None and tls.session_reused

    def take_request(self):
        if self.busy or self.transport.is_closing():
            return
        end = self.inbox.find(b"\r\n\r\n")
        if end < 0:
            if len(self.inbox) > MAX_HEAD:
                self.app.malformed(self, 431)
            return
        try:
            head = parse_head(self.inbox[:end])
        except ValueError:
            self.app.malformed(self, 400)
            return
        stop = end + 4 + head.length
        if len(self.inbox) < stop:
            if head.expects and not self.continued:
                self.continued = True
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body, self.inbox = self.inbox[end + 4:stop], self.inbox[stop:]
        self.busy, self.continued = True, False
        self.app.handle(self, head, body)

    # --- from the app ---

    def respond(self, data, keep_alive):
        """Send a whole answer."""
        self.ending = keep_alive
        self.transport.write(data)
        if self.drained is None:
            self.finish(keep_alive)

    def respond_later(self, seconds, data, keep_alive):
        loop = asyncio.get_running_loop()
        self.job = loop.call_later(seconds, self.respond, data, keep_alive)

    def play(self, coroutine):
        """Let a coroutine answer; cancelled when the client goes away."""
        self.job = asyncio.get_running_loop().create_task(coroutine)

    async def send(self, data):
        """For coroutines: send some bytes and let them leave."""
        self.transport.write(data)
        if self.drained is not None:
            await self.drained
        # Yield also where the kernel takes everything at once: an endless
        # answer must not starve the other connections.
        await asyncio.sleep(0)

    def finish(self, keep_alive):
        """The answer is done, as far as it is meant to be."""
        self.ending = None
        self.busy = False
        self.app.finished(self, aborted=False)
        if not keep_alive:
            self.transport.close()
        elif self.inbox:
            asyncio.get_running_loop().call_soon(self.take_request)

    def reset(self):
        """Break the connection off with a TCP RST."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        self.finish(keep_alive=True)
        self.transport.abort()
