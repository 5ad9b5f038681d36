"""The API as one would ask it from PL/Python without velt_fdw.

On the server's PYTHONPATH; peers.sql has the functions that use it.
"""

import http.client
import json
import ssl
import threading
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

PATH = "/v2/workspace/"
PAGE = 100
FILTER = 30     # ids, as velt_fdw's keys_per_request


class Client:
    """What both kinds have: headers, certificates, pools of threads."""

    def __init__(self, url, workspace, token, ca):
        self.url = url
        self.headers = {"Content-Type": "application/json",
                        "x-velt-workspace-id": workspace,
                        "x-velt-auth-token": token}
        self.context = ssl.create_default_context(cafile=ca) if ca else None
        self.pools = {}

    def each(self, function, arguments, threads):
        """The results' rows; the pool is kept, and with it what its threads
        keep."""
        if threads <= 1:
            results = map(function, arguments)
        else:
            if threads not in self.pools:
                self.pools[threads] = ThreadPoolExecutor(threads)
            results = self.pools[threads].map(function, arguments)
        for rows in results:
            yield from rows


class Urllib(Client):
    """A request as urllib makes it: over a connection of its own."""

    def ask(self, endpoint, **data):
        request = urllib.request.Request(
            self.url + PATH + endpoint, json.dumps({"data": data}).encode(),
            self.headers)
        with urllib.request.urlopen(request, context=self.context) as reply:
            return json.load(reply)["result"]


class KeepAlive(Client):
    """A connection for each thread, kept."""

    def __init__(self, *args):
        super().__init__(*args)
        self.local = threading.local()

    def connect(self):
        url = urllib.parse.urlsplit(self.url)
        if url.scheme == "https":
            return http.client.HTTPSConnection(url.netloc,
                                               context=self.context)
        return http.client.HTTPConnection(url.netloc)

    def ask(self, endpoint, **data):
        if not hasattr(self.local, "connection"):
            self.local.connection = self.connect()
        self.local.connection.request(
            "POST", PATH + endpoint, json.dumps({"data": data}).encode(),
            self.headers)
        with self.local.connection.getresponse() as reply:
            body = reply.read()
            if reply.status != 200:
                raise RuntimeError("HTTP %d: %s" % (reply.status, body))
        return json.loads(body)["result"]


KINDS = {"urllib": Urllib, "keepalive": KeepAlive}


def client(cache, kind, url, workspace, token, ca=None):
    """One for each workspace, kept in the session's dictionary."""
    name = (kind, url, workspace)
    if name not in cache:
        cache[name] = KINDS[kind](url, workspace, token, ca)
    return cache[name]


def key_row(key):
    return key["id"], key.get("apiKeyName"), key.get("type")


def keys(client, **data):
    while True:
        result = client.ask("apikeys/get", pageSize=PAGE, **data)
        yield from map(key_row, result["data"])
        if not result.get("nextPageToken"):
            return
        data["pageToken"] = result["nextPageToken"]


def keys_of_all(clients):
    """Of several workspaces, side by side."""
    return clients[0].each(lambda client: list(keys(client)), clients,
                           len(clients))


def keys_named(client, wanted, threads):
    """In filters, of which so many at a time are asked."""
    def ask(ids):
        result = client.ask("apikeys/get", apiKeys=ids, pageSize=len(ids))
        return map(key_row, result["data"])

    return client.each(ask, [wanted[n:n + FILTER]
                             for n in range(0, len(wanted), FILTER)], threads)


def tokens(client, wanted, threads):
    """Of these keys, or of all: then asked for as the pages of keys come."""
    def ask(key):
        data = client.ask("authtokens/get", apiKey=key)["data"]
        return [(key, token["token"], token.get("name"), token.get("domains"))
                for token in data["authTokens"]]

    if wanted is None:
        wanted = (key[0] for key in keys(client))
    return client.each(ask, wanted, threads)
