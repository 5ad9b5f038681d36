"""The data of a workspace, made up from a few numbers or given in full.

Everything is a function of the configuration alone: two runs see the same
keys and tokens.  Knows nothing of requests, pages or errors.
"""

import functools
import hashlib
import random


class Workspace:
    def __init__(self, workspace_id, config, order="sorted"):
        self.id = workspace_id
        self.token = config.get("token", "token-" + workspace_id)
        self.config = config
        self.order = order

    @functools.cached_property
    def keys(self):
        """The rows of apikeys/get, in the order in which they are listed."""
        keys = self.config.get("key_list")
        if keys is None:
            count = self.config.get("keys", 3)
            keys = [self.make_key(n) for n in range(1, count + 1)]
        if self.order == "reversed":
            keys = keys[::-1]
        elif self.order == "shuffled":
            keys = random.Random(self.id).sample(keys, len(keys))
        return keys

    def make_key(self, n):
        prefix = self.config.get("key_prefix", "velt_api_key_")
        production = n % self.config.get("production_every", 2) == 0
        return {"id": "%s%06d" % (prefix, n), "apiKeyName": "Key %d" % n,
                "type": "production" if production else "testing"}

    @functools.cached_property
    def positions(self):
        """Key id -> position in the list."""
        return {key["id"]: n for n, key in enumerate(self.keys)}

    def auth_tokens(self, key_id):
        """The tokens of one key, or None where there is no such key."""
        if (key_id not in self.positions
                or key_id in self.config.get("vanished", ())):
            return None
        given = self.config.get("tokens", {}).get(key_id)
        if given is not None:
            return given
        number = self.key_number(key_id)
        count = self.config.get("tokens_per_key", 1)
        if isinstance(count, list):     # for one key after the other
            count = count[(number - 1) % len(count)]
        return [self.make_token(key_id, number, m)
                for m in range(1, count + 1)]

    def key_number(self, key_id):
        """The n of make_key; a given list is numbered as it was given."""
        position = self.positions[key_id]
        if self.order == "sorted":
            return position + 1
        if self.order == "reversed":
            return len(self.keys) - position
        digits = key_id[-6:]
        return int(digits) if digits.isdigit() else position + 1

    def make_token(self, key_id, number, m):
        name = "%s/%s/%d" % (self.id, key_id, m)
        domains = ["example-%d.com" % number, "app.example-%d.com" % number]
        if number % 3 == 0 and m == 1:
            domains = []        # an unrestricted token
        return {"token": hashlib.sha256(name.encode()).hexdigest()[:32],
                "name": "Token %d" % m, "domains": domains}

    def document(self):
        """The data of workspace/get."""
        name = self.config.get("name", "Workspace " + self.id)
        owner = {"email": "owner@example.com", "id": "owner_" + self.id,
                 "name": "Olivia Owner", "avatar": ""}
        owner = self.config.get("owner", owner)
        keys = {key["id"]: key for key in self.keys}
        return {"id": self.id, "name": name, "owner": owner,
                "authToken": self.token, "apiKeyList": keys,
                **self.config.get("extra", {})}


def all_workspaces(config):
    """A function from a workspace id to its Workspace, or None."""
    order = config["modes"]["order"]
    pattern = config["workspace_pattern"] or {}
    prefix = pattern.get("prefix", "ws_")

    @functools.lru_cache(maxsize=None)
    def find(workspace_id):
        given = config["workspaces"].get(workspace_id)
        if given is not None:
            return Workspace(workspace_id, given, order)
        number = workspace_id[len(prefix):]
        if (workspace_id.startswith(prefix) and number.isdecimal()
                and str(int(number)) == number
                and 1 <= int(number) <= pattern.get("count", 0)):
            return Workspace(workspace_id, pattern, order)
        return None

    return find
