#!/usr/bin/env python3
"""A server whose replies are too large, too long or without end.

hostile.py prints its URL, and ends with its standard input.  The parts of a
request's path before /v2 say what is replied, so that api_url chooses it:

    plain/MB/ROWS   rows as one page, so many MB
    gzip/MB/ROWS    the same, compressed
    held/MB/ROWS    the same, but for the last bytes, which never come
    flood/BYTES     bytes without end
    trickle/BYTES   the same, a byte every 10 ms
    listed/MB/ROWS  plain for the list of keys, no tokens for each of them
    fan/N/...       a list of N keys; for their tokens the rest of the path,
                    replied to N requests at the same time

ROWS is a JSON list of three strings, the second repeated between the others;
BYTES one of two, the second repeated.  Both are base64 for URLs, and a
character is a byte.  ../perl/VeltHostile.pm writes them.
"""

import base64
import functools
import json
import socketserver
import sys
import threading
import time
import zlib

MEGABYTE = 1 << 20
BLOCK = 256 * 1024
HELD_BYTES = 16
TRICKLE_S = 0.01

# The most that a request waits for the others of its fan-out.
TOGETHER_S = 0.3

GZIP = 31
NO_ROWS = "WyIiLCIgIiwiIl0"  # ["", " ", ""]


def decode(text):
    padded = text + "=" * (-len(text) % 4)
    return [part.encode("latin-1")
            for part in json.loads(base64.urlsafe_b64decode(padded))]


def blocks(part, length):
    """The part, repeated, in blocks; of all of them so many bytes."""
    block = part * max(BLOCK // len(part), 1)
    left = length // len(part) * len(part)
    while left >= len(block):
        yield block
        left -= len(block)
    yield block[:left]


def page(megabytes, rows, is_list):
    """A page, in blocks, of keys or of a key's tokens."""
    before, part, after = decode(rows)
    if is_list:
        head, tail = b"[", b"]"
    else:
        head, tail = b'{"authTokens":[', b"]}"
    yield b'{"result":{"status":"success","data":' + head + before
    yield from blocks(part, int(megabytes) * MEGABYTE)
    yield after + tail + b"}}"


@functools.lru_cache(maxsize=2)
def compress(megabytes, rows, is_list):
    gzip = zlib.compressobj(6, zlib.DEFLATED, GZIP)
    return b"".join([gzip.compress(block)
                     for block in page(megabytes, rows, is_list)] +
                    [gzip.flush()])


compressing = threading.Lock()


def compressed(*arguments):
    with compressing:
        return compress(*arguments)


def head(length, *more):
    lines = ["HTTP/1.1 200 OK", "content-type: application/json",
             "content-length: %d" % length, *more, "", ""]
    return "\r\n".join(lines).encode()


def plain(handler, megabytes, rows):
    parts = list(page(megabytes, rows, handler.is_list))
    handler.send(head(sum(map(len, parts))))
    for part in parts:
        handler.send(part)


def gzip(handler, megabytes, rows, held=0):
    body = compressed(megabytes, rows, handler.is_list)
    handler.send(head(len(body), "content-encoding: gzip"))
    handler.send(body[:len(body) - held])


def held(handler, megabytes, rows):
    gzip(handler, megabytes, rows, HELD_BYTES)
    handler.wait_for_end()


def flood(handler, encoded):
    first, block = decode(encoded)
    handler.send(first)
    block *= max(BLOCK // len(block), 1)
    while True:
        handler.send(block)


def trickle(handler, encoded):
    first, more = decode(encoded)
    handler.send(first)
    while True:
        for byte in more:
            time.sleep(TRICKLE_S)
            handler.send(bytes([byte]))


def listed(handler, megabytes, rows):
    plain(handler, megabytes if handler.is_list else 0,
          rows if handler.is_list else NO_ROWS)


arrived = threading.Condition()
waiting = {}


def meet(path, count):
    """Wait until so many requests for the path wait."""
    with arrived:
        number = waiting[path] = waiting.get(path, 0) + 1
        last = (number + count - 1) // count * count
        arrived.notify_all()
        arrived.wait_for(lambda: waiting[path] >= last, TOGETHER_S)


def fan(handler, count, *rest):
    if handler.is_list:
        rows = ",".join('{"id":"k%d"}' % i for i in range(int(count)))
        body = '{"result":{"status":"success","data":[%s]}}' % rows
        handler.send(head(len(body)) + body.encode())
    else:
        meet(rest, int(count))
        reply(handler, *rest)


REPLIES = {"plain": plain, "gzip": gzip, "held": held, "flood": flood,
           "trickle": trickle, "listed": listed, "fan": fan}


def reply(handler, name, *arguments):
    REPLIES[name](handler, *arguments)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while self.read_request():
                reply(self, *self.arguments)
        except OSError:
            pass  # the client went

    def read_request(self):
        line = self.rfile.readline().decode()
        if not line:
            return False
        length = 0
        for header in iter(self.rfile.readline, b"\r\n"):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self.rfile.read(length)
        path, endpoint = line.split()[1].split("/v2/")
        self.is_list = endpoint.endswith("apikeys/get")
        self.arguments = path.strip("/").split("/")
        return True

    def send(self, data):
        self.connection.sendall(data)

    def wait_for_end(self):
        self.rfile.read(1)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
