"""Bad ways of delivering an answer that may itself be right.

Each is a coroutine that gets the connection, the response's head and body
as bytes, the rule's "do", and whether the connection is to be kept.  It ends
by finishing the exchange, or waits for the client to go away, which cancels
it.
"""

import asyncio
import base64

# Long enough for the bytes before a RST to be read by the peer's kernel.
BEFORE_RESET_S = 0.02

BLOCK = 65536


def cut(head, body, where):
    """The response in two parts, cut at a named place."""
    places = {"before_headers": 0, "in_headers": len(head) // 2,
              "after_headers": len(head), "before_body": len(head),
              "in_body": len(head) + len(body) // 2}
    response = head + body
    return response[:places[where]], response[places[where]:]


async def forever():
    await asyncio.get_running_loop().create_future()


async def stall(connection, head, body, do, keep_alive):
    first, rest = cut(head, body, do["stall"])
    await connection.send(first)
    if "for_ms" not in do:
        await forever()
    await asyncio.sleep(do["for_ms"] / 1000)
    connection.respond(rest, keep_alive)


async def reset(connection, head, body, do, keep_alive):
    await connection.send(cut(head, body, do["reset"])[0])
    await asyncio.sleep(BEFORE_RESET_S)
    connection.reset()


async def close(connection, head, body, do, keep_alive):
    await connection.send(cut(head, body, do["close"])[0])
    connection.finish(keep_alive=False)


async def truncate(connection, head, body, do, keep_alive):
    await connection.send(head + body[:do["truncate"]])
    connection.finish(keep_alive=False)


async def drip(connection, head, body, do, keep_alive):
    for byte in head + body:
        await connection.send(bytes([byte]))
        await asyncio.sleep(do["drip_ms"] / 1000)
    connection.finish(keep_alive)


async def endless_body(connection, head, body, do, keep_alive):
    """A right beginning, then white space, to the end of the connection."""
    await connection.send(without(head, b"content-length") + body)
    while True:
        await connection.send(b" " * BLOCK)


async def endless_headers(connection, head, body, do, keep_alive):
    await connection.send(head[:-2])
    number = 0
    while True:
        number += 1
        await connection.send(b"x-endless-%d: %s\r\n" % (number, b"a" * 64))


async def endless_chunks(connection, head, body, do, keep_alive):
    """Chunks of so many bytes each (true: one), without end."""
    head = without(head, b"content-length")[:-2]
    await connection.send(head + b"transfer-encoding: chunked\r\n\r\n")
    size = int(do["endless_chunks"])
    while True:
        await connection.send(b"%x\r\n%s\r\n" % (size, b" " * size))


async def raw(connection, head, body, do, keep_alive):
    await connection.send(base64.b64decode(do["raw_base64"]))
    connection.finish(keep_alive=False)


def without(head, name):
    return b"\r\n".join(line for line in head.split(b"\r\n")
                        if not line.startswith(name + b":"))


DELIVERIES = {
    "stall": stall, "reset": reset, "close": close, "truncate": truncate,
    "drip_ms": drip, "endless_body": endless_body,
    "endless_headers": endless_headers, "endless_chunks": endless_chunks,
    "raw_base64": raw,
}
