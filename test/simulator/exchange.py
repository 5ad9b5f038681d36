"""A request's way through the simulator: count, answer, limit, spoil, delay.

The one place that holds state: configuration, fault rules, counters.
"""

import asyncio
import collections
import sys
import time
import traceback

import config as configuration
import faults
from api import Api
from framing import frame, remembered_frame, with_request_id
from stats import Stats


class RateLimit:
    """So many requests of a workspace in any window; refused ones are free."""

    def __init__(self, settings):
        self.settings = settings
        self.window_s = settings.get("window_ms", 60000) / 1000
        self.times = collections.defaultdict(collections.deque)

    def exceeded(self, workspace_id):
        now, times = time.monotonic(), self.times[workspace_id]
        while times and times[0] <= now - self.window_s:
            times.popleft()
        if len(times) >= self.settings["per_minute"]:
            return True
        times.append(now)
        return False


class Exchange:
    """The app behind the API's connections."""

    def __init__(self, given):
        self.stats = Stats()
        self.rules = []
        self.api = None
        self.configure(given)

    # --- from control ---

    def configure(self, given):
        """Take over a configuration, unless it is refused.  Requests in
        flight keep the answers that they already have."""
        config = configuration.effective(given)
        limit = config["rate_limit"]
        self.limit = RateLimit(limit) if limit else None
        # Of latency no answer knows: those remembered stay.
        if not self.api or {**config, "latency_ms": self.latency_ms} != \
                self.config:
            self.api = Api(config)
        self.given, self.config = given, config
        self.modes = config["modes"]
        self.latency_ms = config["latency_ms"]

    def reset(self):
        self.stats.reset()
        for rule in self.rules:
            rule.rewind()

    # --- from the connections ---

    def opened(self, connection):
        self.stats.connections += 1
        self.stats.resumed += connection.resumed()
        self.stats.open_connections += 1

    def closed(self, connection):
        self.stats.open_connections -= 1

    def finished(self, connection, aborted):
        self.stats.in_flight -= 1
        self.stats.aborted += aborted

    def malformed(self, connection, status):
        """What is no HTTP has no place in the counters but this."""
        self.stats.bad_requests += 1
        connection.transport.write(b"HTTP/1.1 %d Malformed\r\n"
                                   b"connection: close\r\n"
                                   b"content-length: 0\r\n\r\n" % status)
        connection.transport.close()

    def handle(self, connection, head, body):
        stats = self.stats
        answer = self.api.answer(head, body)
        number = stats.began(head, body, answer)
        request_id = stats.requests["total"]
        for rule in self.rules:
            if rule.hits(answer, number, request_id):
                self.spoil(connection, head, body, answer, rule.do)
                return
        if self.limit and answer.endpoint:
            answer = self.limited(head, answer)
        stats.bad_requests += answer.bad
        top, body, keep_alive = self.framed(head, answer, remembered_frame)
        delay_ms = self.delay_ms(answer)
        if delay_ms:
            connection.respond_later(delay_ms / 1000, top + body, keep_alive)
        else:
            connection.respond(top + body, keep_alive)

    def framed(self, head, answer, framing=frame):
        keep_alive = head.keep_alive and not self.modes["http10_close"]
        compress = (self.modes["compress"] and head.gzip
                    and "content-encoding" not in answer.headers)
        top, body, length = framing(
            answer, compress, self.modes["chunked"], not keep_alive,
            self.modes["http10_close"])
        self.stats.body_bytes += length
        return (with_request_id(top, self.stats.requests["total"]), body,
                keep_alive)

    def delay_ms(self, answer):
        if isinstance(self.latency_ms, dict):
            return self.latency_ms.get(answer.endpoint, 0)
        return self.latency_ms

    def limited(self, head, answer):
        if not self.limit.exceeded(head.headers.get("x-velt-workspace-id")):
            return answer
        self.stats.rate_limited += 1
        refusal = self.api.error(
            "RESOURCE_EXHAUSTED",
            "Rate limit exceeded. Try again after 1 minute.")
        retry_after = self.limit.settings.get("retry_after")
        if retry_after is not None:
            refusal.headers["retry-after"] = str(retry_after)
        return refusal.but(endpoint=answer.endpoint, data=answer.data)

    def spoil(self, connection, head, body, answer, do):
        """Answer as a fault rule wants it."""
        self.stats.faults += 1
        question = faults.Question(self.api, head, body)
        try:
            answer = faults.changed(answer, do, question)
            self.stats.bad_requests += answer.bad
            top, body, keep_alive = self.framed(head, answer)
        except Exception:
            # A rule that does not fit the answer is the test's mistake: say
            # so where it is seen.
            traceback.print_exc(file=sys.stderr)
            connection.finish(keep_alive=False)
            return
        delay_ms = do.get("latency_ms", self.delay_ms(answer))
        connection.play(deliver(connection, top, body, keep_alive, do,
                                delay_ms / 1000))


async def deliver(connection, head, body, keep_alive, do, delay_s):
    await asyncio.sleep(delay_s)
    for name, badly in faults.DELIVERIES.items():
        if name in do:
            await badly(connection, head, body, do, keep_alive)
            return
    connection.respond(head + body, keep_alive)
