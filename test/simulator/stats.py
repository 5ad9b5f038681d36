"""What was asked of the simulator since the last reset, and what is going on.

Two gauges, in_flight and open_connections, outlive a reset.
"""

import collections

REMEMBERED = 10000      # entries per list: bounds a long benchmark's memory

LISTED = {              # member of a request's data -> list in the report
    "apiKey": "keys_asked", "apiKeys": "filters", "pageSize": "page_sizes",
}


def remembered():
    return collections.deque(maxlen=REMEMBERED)


class Stats:
    def __init__(self):
        self.in_flight = 0
        self.open_connections = 0
        self.reset()

    def reset(self):
        self.requests = {"total": 0, "workspace/get": 0, "apikeys/get": 0,
                         "authtokens/get": 0}
        self.max_in_flight = self.in_flight
        self.connections = self.resumed = 0
        self.aborted = self.bad_requests = 0
        self.faults = self.rate_limited = self.body_bytes = 0
        self.last_head, self.last_body = None, b""
        self.lists = {name: remembered() for name in LISTED.values()}
        self.http_versions = collections.Counter()
        self.front_connections = set()
        self.proxy_requests = remembered()

    def began(self, head, body, answer):
        """Count a request; returns its number among those of its endpoint."""
        self.in_flight += 1
        if self.in_flight > self.max_in_flight:
            self.max_in_flight = self.in_flight
        self.last_head, self.last_body = head, body
        self.requests["total"] += 1
        self.http_versions[head.version] += 1
        if head.front_connection:
            self.front_connections.add(head.front_connection)
        for name, value in answer.data.items():
            if name in LISTED:
                self.lists[LISTED[name]].append(value)
        if answer.endpoint is None:
            return None
        self.requests[answer.endpoint] += 1
        return self.requests[answer.endpoint]

    def report(self):
        head = self.last_head
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "connections": self.connections,
            "resumed": self.resumed,
            "open_connections": self.open_connections,
            "front_connections": len(self.front_connections),
            "aborted": self.aborted,
            "bad_requests": self.bad_requests,
            "rate_limited": self.rate_limited,
            "faults": self.faults,
            "body_bytes": self.body_bytes,
            "last_method": head.method if head else None,
            "last_path": head.path if head else None,
            "last_headers": head.headers if head else {},
            "last_body": self.last_body.decode("utf-8", "replace"),
            **{name: list(values) for name, values in self.lists.items()},
            "http_versions": self.http_versions,
            "proxy": {"requests": list(self.proxy_requests)},
        }


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
            raise ValueError("no such key: %s" % key)
    return value
