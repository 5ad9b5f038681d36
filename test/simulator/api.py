"""The Velt workspace API: from a request to the right answer, strictly.

An Api is immutable and its answers depend on the request's bytes alone, so
they are remembered: a page that was asked for before costs a look-up.  Page
tokens carry the whole cursor, signed, so nothing is kept between requests.
Knows nothing of sockets, faults, delays or counters.
"""

import base64
import binascii
import functools
import hashlib
import json
import urllib.parse

from workspace import all_workspaces

MAX_KEYS = 100          # per filter and per page, as documented
REMEMBERED = 8192       # answers, a client's being its own; 8 kB each is 64 MB

OLD_HEADER = "x-velt-auth-token"
NEW_HEADER = "x-velt-workspace-auth-token"

# The usual Google mapping, which the API's documents suggest but do not give.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "ABORTED": 409, "ALREADY_EXISTS": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}


class Answer:
    """One answer before it is framed, and what the request asked for."""

    def __init__(self, status, body, media="application/json; charset=utf-8",
                 headers=None, endpoint=None, data=None, bad=False):
        self.status = status
        self.body = body
        self.media = media
        self.headers = headers or {}
        self.endpoint = endpoint    # None: no such path
        self.data = data or {}      # the request's data, as far as valid
        self.bad = bad              # refused as malformed

    def but(self, **changes):
        return Answer(**{**vars(self), **changes})


class Refusal(Exception):
    def __init__(self, code, message):
        super().__init__(code, message)
        self.code = code
        self.message = message


# --- requests --------------------------------------------------------------

def is_text(value):
    return isinstance(value, str) and value != ""


def is_key_list(value):
    return (isinstance(value, list) and 1 <= len(value) <= MAX_KEYS
            and all(isinstance(item, str) for item in value))


def is_page_size(value):
    return type(value) is int and 1 <= value <= MAX_KEYS


def is_page_token(value):
    return isinstance(value, str)


class Endpoint:
    def __init__(self, path, method, members, required, data_optional=False):
        self.path = path
        self.name = "/".join(path.split("/")[-2:])
        self.method = method                # of Api
        self.members = members              # name -> test of its value
        self.required = required
        self.data_optional = data_optional


ENDPOINTS = [
    Endpoint("/v2/workspace/get", "get_workspace", {}, ()),
    Endpoint("/v2/workspace/apikeys/get", "get_api_keys",
             {"apiKeys": is_key_list, "pageSize": is_page_size,
              "pageToken": is_page_token}, (), data_optional=True),
    Endpoint("/v2/workspace/authtokens/get", "get_auth_tokens",
             {"apiKey": is_text}, ("apiKey",)),
]


def no_duplicates(members):
    unique = dict(members)
    if len(unique) != len(members):
        raise ValueError("duplicate member")
    return unique


def no_constant(name):
    raise ValueError(name + " is not JSON")


def parse_body(endpoint, body):
    """The request's data object; whatever is not exactly right is refused."""
    try:
        document = json.loads(body.decode(), parse_constant=no_constant,
                              object_pairs_hook=no_duplicates)
        json.dumps(document, ensure_ascii=False).encode()   # no surrogates
    except (ValueError, RecursionError) as error:
        raise Refusal("INVALID_ARGUMENT", "The body is not JSON: %s." % error)
    if not isinstance(document, dict) or set(document) - {"data"}:
        raise Refusal("INVALID_ARGUMENT", "The body is not {\"data\": {}}.")
    data = document.get("data", {} if endpoint.data_optional else None)
    if not isinstance(data, dict):
        raise Refusal("INVALID_ARGUMENT", "data must be an object.")
    for name, value in data.items():
        if name not in endpoint.members:
            raise Refusal("INVALID_ARGUMENT", "Unknown member %s." % name)
        if not endpoint.members[name](value):
            raise Refusal("INVALID_ARGUMENT", "Invalid value of %s." % name)
    for name in endpoint.required:
        if name not in data:
            raise Refusal("INVALID_ARGUMENT", "%s is required." % name)
    return data


# --- page tokens -----------------------------------------------------------

def seal(cursor):
    payload = json.dumps(cursor).encode()
    return base64.urlsafe_b64encode(payload + signature(payload)).decode()


def unseal(token):
    """The cursor sealed in a token, or None where it is none of ours."""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    payload = raw[:-8]
    return json.loads(payload) if raw[-8:] == signature(payload) else None


def signature(payload):
    return hashlib.sha256(b"velt simulator" + payload).digest()[:8]


# --- answers ---------------------------------------------------------------

class Api:
    def __init__(self, config):
        self.modes = config["modes"]
        self.find = all_workspaces(config)
        self.paths = {config["base_path"] + endpoint.path: endpoint
                      for endpoint in ENDPOINTS}
        self.answer = functools.lru_cache(maxsize=REMEMBERED)(self.compute)

    def compute(self, head, body):
        """The Answer to a request; call answer(), which remembers."""
        endpoint = self.paths.get(head.path)
        if head.method != "POST":
            return plain(405, "method not allowed", {"allow": "POST"})
        if endpoint is None:
            return plain(404, "not found")
        try:
            media = head.headers.get("content-type", "").split(";")[0]
            if media.strip().lower() != "application/json":
                raise Refusal("INVALID_ARGUMENT",
                              "Content-Type must be application/json.")
            data = parse_body(endpoint, body)
        except Refusal as refusal:
            return self.refuse(refusal, head).but(endpoint=endpoint.name)
        try:
            workspace = self.authenticate(endpoint, head.headers)
            answer = getattr(self, endpoint.method)(workspace, data)
        except Refusal as refusal:
            answer = self.refuse(refusal, head)
        return answer.but(endpoint=endpoint.name, data=data)

    def authenticate(self, endpoint, headers):
        workspace_id = headers.get("x-velt-workspace-id")
        if not workspace_id:
            raise Refusal("INVALID_ARGUMENT",
                          "Missing header x-velt-workspace-id.")
        token = self.received_token(headers)
        workspace = self.find(workspace_id)
        if workspace is None:
            raise Refusal("NOT_FOUND", "Workspace not found.")
        if token != workspace.token:
            if endpoint.name == "workspace/get":
                raise Refusal("UNAUTHENTICATED", "Invalid auth token.")
            raise Refusal("PERMISSION_DENIED",
                          "Invalid workspace credentials.")
        return workspace

    def received_token(self, headers):
        mode = self.modes["token_header"]
        names = {"old": [OLD_HEADER], "new": [NEW_HEADER],
                 "either": [OLD_HEADER, NEW_HEADER],
                 "both": [OLD_HEADER, NEW_HEADER]}.get(mode, [mode.lower()])
        tokens = [headers[name] for name in names if headers.get(name)]
        if not tokens or mode == "both" and len(tokens) < 2:
            raise Refusal("INVALID_ARGUMENT",
                          "Missing header %s." % " or ".join(names))
        if len(set(tokens)) > 1:
            raise Refusal("INVALID_ARGUMENT", "The auth tokens differ.")
        return tokens[0]

    def get_workspace(self, workspace, data):
        return self.success("Workspace retrieved successfully.",
                            workspace.document())

    def get_auth_tokens(self, workspace, data):
        tokens = workspace.auth_tokens(data["apiKey"])
        if tokens is None:
            raise Refusal("NOT_FOUND", "API key not found.")
        return self.success("Auth tokens retrieved successfully.",
                            {"apiKey": data["apiKey"], "authTokens": tokens})

    def get_api_keys(self, workspace, data):
        rows = self.selected(workspace, data.get("apiKeys"))
        size = data.get("pageSize", MAX_KEYS)
        # A token is good only for the question that it continues.
        question = [workspace.id, data.get("apiKeys"), size]
        start, blanks = 0, self.modes["empty_pages"]
        if "pageToken" in data:
            cursor = unseal(data["pageToken"])
            if cursor is None or cursor["question"] != digest(question):
                raise Refusal("INVALID_ARGUMENT", "Invalid pageToken.")
            if cursor["epoch"] != self.modes["token_epoch"]:
                raise Refusal("INVALID_ARGUMENT", "The pageToken has expired.")
            start, blanks = cursor["start"], cursor["blanks"]

        if blanks > 0:
            page, following = [], (start, blanks - 1)
        else:
            end = start + min(size, self.modes["page_cap"] or size)
            page, following = rows[start:end], None
            # A server that cannot look ahead finds out by an empty page.
            if (len(rows) > end or self.modes["trailing_page"]
                    and len(page) == end - start):
                following = (end, self.modes["empty_pages"])
        return self.success("API keys retrieved successfully.", page,
                            **self.next_token(question, following))

    def selected(self, workspace, key_ids):
        if key_ids is None:
            return workspace.keys
        cap = self.modes["filter_cap"]
        if cap and len(key_ids) > cap:
            raise Refusal("INVALID_ARGUMENT",
                          "apiKeys has more than %d items." % cap)
        positions = [workspace.positions.get(key_id) for key_id in key_ids]
        if None in positions and self.modes["unknown_ids"] == "not_found":
            raise Refusal("NOT_FOUND", "API key not found.")
        known = {position for position in positions if position is not None}
        return [workspace.keys[position] for position in sorted(known)]

    def next_token(self, question, following):
        if following is not None:
            return {"nextPageToken": seal({"question": digest(question),
                                           "start": following[0],
                                           "blanks": following[1],
                                           "epoch": self.modes["token_epoch"]})}
        return {"absent": {}, "null": {"nextPageToken": None},
                "empty": {"nextPageToken": ""}}[self.modes["last_token"]]

    def success(self, message, data, **siblings):
        result = {"status": "success", "message": message, "data": data}
        return Answer(200, self.render({"result": {**result, **siblings}}))

    def refuse(self, refusal, head):
        message = refusal.message
        if self.modes["echo_secrets"]:
            message += echo(head.headers)
        return self.error(refusal.code, message)

    def error(self, code, message, http=None, **more):
        """An error envelope; more: members of the error, such as details."""
        if http is None:
            http = HTTP_STATUS.get(code, 500)
            if self.modes["error_http"] == "200":
                http = 200
        body = {"error": {"status": code, "message": message, **more}}
        return Answer(http, self.render(body), bad=code == "INVALID_ARGUMENT")

    def render(self, document):
        """JSON as UTF-8, written tersely or as oddly as the modes say."""
        pretty = self.modes["pretty"]
        text = json.dumps(document, ensure_ascii=self.modes["escape"],
                          indent="\t" if pretty else None,
                          separators=(" ,", " : ") if pretty else (",", ":"))
        if pretty:          # newlines stand between tokens only
            text = "\r\n" + text.replace("\n", "\r\n ") + "\n"
        if self.modes["escape"]:        # and slashes in strings only
            text = text.replace("/", "\\/")
        # A lone surrogate can come from a test's own data, as an escape.
        return text.encode("utf-8", "backslashreplace")


def plain(status, text, headers=None):
    return Answer(status, text.encode() + b"\n", "text/plain",
                  headers, bad=True)


def digest(question):
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]


def echo(headers):
    """Every spelling in which an error message could give a secret away."""
    parts = []
    for name in ("x-velt-workspace-id", OLD_HEADER, NEW_HEADER):
        value = headers.get(name)
        if value:
            parts += [
                value, json.dumps(value)[1:-1],
                "".join("\\u%04x" % ord(c) for c in value),
                "".join("\\u%04X" % ord(c) for c in value),
                urllib.parse.quote(value, safe=""),
                "".join("%%%02x" % ord(c) for c in value),
                "".join("%%%02X" % ord(c) for c in value)]
    return " Received: " + " ".join(parts)
