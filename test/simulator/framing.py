"""From an answer to the bytes of an HTTP/1.1 response.

Everything but the request id is the same each time an answer is sent, so
remembered_frame() makes it once.
"""

import functools
import gzip
import http

CHUNKS = 3


def frame(answer, compress=False, chunked=False, close=False, http10=False):
    """(head without its request id, body as sent, its bytes of content)"""
    body, headers = answer.body, {"content-type": answer.media}
    if compress:
        body = gzip.compress(body, 6)
        headers["content-encoding"] = "gzip"
    length = len(body)
    if chunked:
        body = in_chunks(body)
        headers["transfer-encoding"] = "chunked"
    else:
        headers["content-length"] = str(length)
    if close:
        headers["connection"] = "close"
    headers.update(answer.headers)      # which can take one away, by None
    version = "1.0" if http10 and not chunked else "1.1"
    lines = ["HTTP/%s %d %s" % (version, answer.status,
                                reason(answer.status))]
    lines += ["%s: %s" % field for field in headers.items()
              if field[1] is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n", body, length


remembered_frame = functools.lru_cache(maxsize=8192)(frame)


def with_request_id(head, number):
    if b"\r\nx-request-id: " in head:       # a fault rule's own
        return head + b"\r\n"
    return b"%sx-request-id: req-%d\r\n\r\n" % (head, number)


def in_chunks(body):
    size = len(body) // CHUNKS + 1
    pieces = [body[n:n + size] for n in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece)
                    for piece in pieces + [b""])


def reason(status):
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unnamed"
