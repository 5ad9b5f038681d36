"""The control server: a few JSON routes on a port of their own."""

import json

import config as configuration
import faults
from api import Answer
from framing import frame, with_request_id
from stats import pick

STATISTIC = "/stats/"


class Control:
    """The app behind the control port's connections."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.routes = {
            ("GET", "/stats"): self.get_stats,
            ("GET", "/config"): self.get_config,
            ("POST", "/reset"): self.reset,
            ("POST", "/config"): self.set_config,
            ("POST", "/faults"): self.set_faults,
        }

    def get_stats(self, body):
        return self.exchange.stats.report()

    def get_statistic(self, key):
        return pick(self.exchange.stats.report(), key)

    def get_config(self, body):
        return self.exchange.config

    def reset(self, body):
        self.exchange.reset()
        return {}

    def set_config(self, body):
        changes = json.loads(body)
        if not isinstance(changes, dict):
            raise ValueError("a configuration is a JSON object")
        self.exchange.configure(
            configuration.patch(self.exchange.given, changes))
        return {}

    def set_faults(self, body):
        self.exchange.rules = faults.parse_rules(json.loads(body))
        return {}

    def handle(self, connection, head, body):
        route = self.routes.get((head.method, head.path))
        try:
            if route:
                status, document = 200, route(body)
            elif head.method == "GET" and head.path.startswith(STATISTIC):
                status, document = 200, self.get_statistic(
                    head.path[len(STATISTIC):])
            else:
                status, document = 404, {"error": "no such verb"}
        except (ValueError, TypeError, AttributeError) as error:
            status, document = 400, {"error": str(error)}
        top, body, _ = frame(Answer(status, json.dumps(document).encode()),
                             close=not head.keep_alive)
        connection.respond(with_request_id(top, 0) + body, head.keep_alive)

    def malformed(self, connection, status):
        connection.transport.close()

    def opened(self, connection):
        pass

    def closed(self, connection):
        pass

    def finished(self, connection, aborted):
        pass
