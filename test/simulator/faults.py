"""Faults on demand: which request is hit, and what its answer becomes.

A rule's "do" can hold one change of the answer's content (below), one way of
delivering it badly (delivery.py), and a latency.
"""

import base64
import functools
import json
import random
import zlib

from config import ConfigError, only
from delivery import DELIVERIES

RULE_KEYS = {"endpoint", "nth", "key", "every", "probability", "seed",
             "times", "do"}
ENDPOINTS = {"workspace/get", "apikeys/get", "authtokens/get"}

# Members of "do" that only qualify another one.
QUALIFIERS = {"headers", "body", "body_base64", "json", "message", "http",
              "details", "for_ms", "latency_ms", "body_parts"}

# Page tokens of our own making, which the API itself would refuse.
FAKE = "simulated-"


class Rule:
    def __init__(self, spec):
        only(spec, RULE_KEYS, "fault rule")
        self.do = spec.get("do")
        only(self.do, QUALIFIERS | set(CONTENTS) | set(DELIVERIES),
             "do of a fault rule")
        for table in (CONTENTS, DELIVERIES):
            if len(set(self.do) & set(table)) > 1:
                raise ConfigError("one at a time: %s" % sorted(self.do))
        self.endpoint = spec.get("endpoint")
        if self.endpoint is not None and self.endpoint not in ENDPOINTS:
            raise ConfigError("no such endpoint: %r" % (self.endpoint,))
        nth = spec.get("nth")
        self.nth = {nth} if isinstance(nth, int) else nth and set(nth)
        self.spec = spec
        self.rewind()

    def rewind(self):
        self.lives = self.spec.get("times", float("inf"))
        self.dice = random.Random(self.spec.get("seed", 0))

    def hits(self, answer, number, total):
        """Does it apply?  number counts this endpoint's requests."""
        spec = self.spec
        if self.lives <= 0:
            return False
        if self.endpoint is None:
            number = total
        elif self.endpoint != answer.endpoint:
            return False
        if (self.nth and number not in self.nth
                or "every" in spec and number % spec["every"]
                or "key" in spec and spec["key"] not in asked_keys(answer)
                or "probability" in spec
                and self.dice.random() >= spec["probability"]):
            return False
        self.lives -= 1
        return True


def asked_keys(answer):
    """The ids in the request, as far as it is valid."""
    return [answer.data.get("apiKey")] + answer.data.get("apiKeys", [])


def parse_rules(specs):
    if not isinstance(specs, list):
        raise ConfigError("faults are a list of rules")
    return [Rule(spec) for spec in specs]


# --- what an answer becomes ------------------------------------------------
# Each takes the right answer, the rule's "do" and the question: a function
# that asks the API something else.

def changed(answer, do, ask):
    """The answer as a rule's content fault and its headers make it."""
    for name, change in CONTENTS.items():
        if name in do:
            answer = change(answer, do, ask)
    if do.get("headers"):
        headers = {k.lower(): v for k, v in do["headers"].items()}
        answer = answer.but(headers={**answer.headers, **headers})
    return answer


def status(answer, do, ask):
    body, media = b"", "text/plain"
    if "json" in do:
        body, media = ask.api.render(do["json"]), "application/json"
    elif "body_base64" in do:
        body = base64.b64decode(do["body_base64"])
    elif "body" in do:
        body = do["body"].encode()
    elif "body_parts" in do:
        body = b"".join(text.encode() * n for text, n in do["body_parts"])
    return answer.but(status=do["status"], body=body, media=media, headers={})


def error(answer, do, ask):
    more = {"details": do["details"]} if "details" in do else {}
    envelope = ask.api.error(do["error"], do.get("message", "Simulated."),
                             do.get("http"), **more)
    return answer.but(status=envelope.status, body=envelope.body,
                      media=envelope.media)


def repeat_token(answer, do, ask):
    return paged(ask, lambda sent, n: sent or FAKE + "1")


def token_cycle(answer, do, ask):
    length = do["token_cycle"]
    return paged(ask, lambda sent, n: FAKE + str(n % length + 1))


def endless_empty(answer, do, ask):
    return paged(ask, lambda sent, n: FAKE + str(n + 1), empty=True)


def paged(ask, next_token, empty=False):
    """A page with a token of our own; the answer to such a token is that to
    the same question without one.  n: how many were handed out before."""
    data = dict(ask.document.get("data", {}))
    sent = data.get("pageToken")
    n = 0
    if sent is not None and sent.startswith(FAKE):
        n = int(sent[len(FAKE):])
        del data["pageToken"]
    answer = ask({"data": data})
    document = json.loads(answer.body)
    if "result" not in document:
        return answer
    if empty:
        document["result"]["data"] = []
    document["result"]["nextPageToken"] = next_token(sent, n)
    return answer.but(body=ask.api.render(document))


def edit(answer, do, ask):
    document = json.loads(answer.body)
    for pointer, *value in do["edit"]:
        document = edited(document, pointer, value)
    return answer.but(body=ask.api.render(document))


def edited(document, pointer, value):
    """RFC 6901; value is [what to put there], or [] to remove."""
    if pointer == "":
        return value[0]
    *path, last = [part.replace("~1", "/").replace("~0", "~")
                   for part in pointer.split("/")[1:]]
    place = document
    for part in path:
        place = place[int(part) if isinstance(place, list) else part]
    if isinstance(place, list):
        index = len(place) if last == "-" else int(last)
        place[index:index + 1] = value
    elif value:
        place[last] = value[0]
    else:
        place.pop(last, None)
    return document


def wrong_length(answer, do, ask):
    length = len(answer.body) + do["wrong_length"]
    return answer.but(headers={**answer.headers, "content-length": length})


def nest(answer, do, ask):
    return answer.but(body=b"[" * do["nest"] + b"]" * do["nest"])


def gzip_bomb_mb(answer, do, ask):
    return answer.but(body=bomb(answer.body, do["gzip_bomb_mb"]),
                      headers={**answer.headers, "content-encoding": "gzip"})


@functools.lru_cache(maxsize=4)
def bomb(body, megabytes):
    """The right answer, followed by white space: valid for who can bear it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packer.compress(body)]
    packed += [packer.compress(b" " * (1 << 20)) for _ in range(megabytes)]
    return b"".join(packed) + packer.flush()


class Question:
    """Asks the API what another body would have been answered."""

    def __init__(self, api, head, body):
        self.api = api
        self.head = head
        try:
            self.document = json.loads(body)
        except ValueError:
            self.document = {}

    def __call__(self, document):
        return self.api.answer(self.head, json.dumps(document).encode())


CONTENTS = {
    "status": status, "error": error, "repeat_token": repeat_token,
    "token_cycle": token_cycle, "endless_empty": endless_empty, "edit": edit,
    "wrong_length": wrong_length, "nest": nest, "gzip_bomb_mb": gzip_bomb_mb,
}
