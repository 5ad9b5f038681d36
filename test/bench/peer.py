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


def head(workspace, token):
    return {"Content-Type": "application/json",
            "x-velt-workspace-id": workspace, "x-velt-auth-token": token}


class Urllib:
    """A request as urllib makes it: over a connection of its own."""

    def __init__(self, url, workspace, token, ca=None):
        self.url = url
        self.headers = head(workspace, token)
        self.context = ssl.create_default_context(cafile=ca) if ca else None

    def ask(self, endpoint, **data):
        request = urllib.request.Request(
            self.url + PATH + endpoint, json.dumps({"data": data}).encode(),
            self.headers)
        with urllib.request.urlopen(request, context=self.context) as reply:
            return json.load(reply)["result"]


class KeepAlive:
    """A connection for each thread, kept."""

    def __init__(self, url, workspace, token, ca=None):
        self.url = urllib.parse.urlsplit(url)
        self.headers = head(workspace, token)
        self.context = ssl.create_default_context(cafile=ca) if ca else None
        self.local = threading.local()

    def connect(self):
        if self.url.scheme == "https":
            return http.client.HTTPSConnection(self.url.netloc,
                                               context=self.context)
        return http.client.HTTPConnection(self.url.netloc)

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


def keys(client, **data):
    while True:
        result = client.ask("apikeys/get", pageSize=100, **data)
        for key in result["data"]:
            yield key["id"], key.get("apiKeyName"), key.get("type")
        if not result.get("nextPageToken"):
            return
        data["pageToken"] = result["nextPageToken"]


def one_key(client, key):
    for row in client.ask("apikeys/get", apiKeys=[key])["data"]:
        yield row["id"], row.get("apiKeyName"), row.get("type")


def tokens_of(client, key):
    data = client.ask("authtokens/get", apiKey=key)["data"]
    return [(key, token["token"], token.get("name"), token.get("domains"))
            for token in data["authTokens"]]


def tokens(client, wanted, threads):
    if threads <= 1:
        for key in wanted:
            yield from tokens_of(client, key)
        return
    with ThreadPoolExecutor(threads) as pool:
        for rows in pool.map(lambda key: tokens_of(client, key), wanted):
            yield from rows
