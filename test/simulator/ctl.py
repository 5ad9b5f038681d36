"""The command-line client of the control server.

A psql test calls it hundreds of times, so it has to start fast: a statistic is
picked, and a document looked at, by the server; and the sockets are those
below the module socket, which alone would double the time, as would json.
"""

import _socket
import sys
import time

POLL_S = 0.02
WAIT_S = 10


class ControlError(Exception):
    pass


def call(url, method, path, body=""):
    """The text of the answer, which is JSON."""
    host, port = url.rpartition("/")[2].split(":")
    body = body.encode()
    request = ("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
               "Content-Length: %d\r\n\r\n" % (method, path, host, len(body)))
    head, _, answer = exchange(host, int(port),
                               request.encode() + body).partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ControlError(parsed(answer)["error"])
    return answer.decode()


def exchange(host, port, request):
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        sock.settimeout(WAIT_S)
        sock.connect((host, port))
        sock.sendall(request)
        return b"".join(iter(lambda: sock.recv(65536), b""))
    finally:
        sock.close()


def parsed(text):
    import json
    return json.loads(text)


def stats(url, key=None):
    if key is None:
        import json
        print(json.dumps(parsed(call(url, "GET", "/stats")), indent=2))
        return
    text = call(url, "GET", "/stats/" + key)
    print(parsed(text) if text.startswith('"') else text)


def wait(url, key, value, seconds=WAIT_S):
    deadline = time.monotonic() + float(seconds)
    while True:
        found = float(call(url, "GET", "/stats/" + key))
        if found >= float(value):
            return
        if time.monotonic() > deadline:
            raise ControlError("%s is still %g, not %s"
                               % (key, found, value))
        time.sleep(POLL_S)


def reset(url):
    call(url, "POST", "/reset")


def config(url, document):
    call(url, "POST", "/config", document)


def faults(url, document):
    call(url, "POST", "/faults", document)


VERBS = {"stats": stats, "wait": wait, "reset": reset, "config": config,
         "faults": faults}


def main(arguments):
    try:
        url, verb, *rest = arguments
        VERBS[verb](url, *rest)
    except (ValueError, KeyError, TypeError) as error:
        sys.exit("usage: simulator.py ctl URL stats [KEY] | reset"
                 " | config JSON | faults JSON | wait KEY VALUE [SECONDS]"
                 " (%s: %s)" % (type(error).__name__, error))
    except (OSError, ControlError) as error:
        sys.exit("simulator.py ctl: %s" % error)
