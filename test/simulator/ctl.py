"""The command-line client of the control server.

Sockets and JSON only: a psql test calls it many times, and http.client alone
would double its start-up time.
"""

import json
import socket
import sys
import time

POLL_S = 0.02
WAIT_S = 10


class ControlError(Exception):
    pass


def call(url, method, path, document=None):
    host, port = url.rpartition("/")[2].split(":")
    body = b"" if document is None else json.dumps(document).encode()
    request = ("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
               "Content-Length: %d\r\n\r\n" % (method, path, host, len(body)))
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as sock:
        sock.sendall(request.encode() + body)
        with sock.makefile("rb") as stream:
            head, _, answer = stream.read().partition(b"\r\n\r\n")
    answer = json.loads(answer)
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ControlError(answer["error"])
    return answer


def pick(report, key):
    """The value of a dotted key; keys and numbers are steps, and 'length'
    counts a list."""
    value = report
    for step in key.split("."):
        try:
            if isinstance(value, list):
                value = len(value) if step == "length" else value[int(step)]
            else:
                value = value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise ControlError("no such key: %s" % key)
    return value


def stats(url, key=None):
    report = call(url, "GET", "/stats")
    value = report if key is None else pick(report, key)
    if not isinstance(value, str):
        value = json.dumps(value, indent=2 if key is None else None)
    print(value)


def wait(url, key, value, seconds=WAIT_S):
    deadline = time.monotonic() + float(seconds)
    while True:
        found = pick(call(url, "GET", "/stats"), key)
        if found >= float(value):
            return
        if time.monotonic() > deadline:
            raise ControlError("%s is still %s, not %s" % (key, found, value))
        time.sleep(POLL_S)


def reset(url):
    call(url, "POST", "/reset")


def config(url, document):
    call(url, "POST", "/config", json.loads(document))


def faults(url, document):
    call(url, "POST", "/faults", json.loads(document))


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
