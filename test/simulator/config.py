"""What the simulator is told to be: defaults, merging, checking.

Every point that the API's documentation leaves open is a mode here, so that a
test can run against either answer.  A misspelt key is refused: a mode that is
silently not switched on makes a test that silently tests nothing.
"""

import copy

# The first value of a tuple is the default.
CHOICES = {
    "token_header": ("either", "old", "new", "both"),
    "unknown_ids": ("omit", "not_found"),
    "error_http": ("mapped", "200"),
    "last_token": ("absent", "null", "empty"),
    "order": ("sorted", "reversed", "shuffled"),
}

DEFAULTS = {
    "workspaces": {
        "workspace_demo": {
            "token": "demo-token-0123456789abcdef",
            "name": "Demo Workspace",
            "keys": 25,
            "tokens_per_key": 2,
        },
    },
    "workspace_pattern": None,
    "base_path": "",
    "modes": {
        **{mode: choices[0] for mode, choices in CHOICES.items()},
        "empty_pages": 0,
        "filter_cap": 0,
        "token_epoch": 0,
        "page_cap": 0,
        "trailing_page": False,
        "compress": False,
        "chunked": False,
        "pretty": False,
        "escape": False,
        "http10_close": False,
        "echo_secrets": False,
    },
    "latency_ms": 0,
    "rate_limit": None,
    "proxy": {"status": None},
}

WORKSPACE_KEYS = {
    "token", "name", "owner", "extra", "keys", "key_prefix", "key_list",
    "production_every", "tokens_per_key", "tokens", "vanished",
}
PATTERN_KEYS = (WORKSPACE_KEYS - {"token"}) | {"prefix", "count"}
RATE_KEYS = {"per_minute", "retry_after", "window_ms"}


class ConfigError(ValueError):
    """The configuration, or a fault rule, is not understood."""


def merge(base, patch):
    """A copy of base with patch merged in; only objects are merged deeply."""
    merged = dict(base)
    for name, value in patch.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = merge(merged[name], value) if both else value
    return merged


def patch(given, changes):
    """As merge, but null takes a member away, and its default comes back."""
    patched = dict(given)
    for name, value in changes.items():
        if value is None:
            patched.pop(name, None)
        elif isinstance(value, dict) and isinstance(patched.get(name), dict):
            patched[name] = patch(patched[name], value)
        else:
            patched[name] = value
    return patched


def effective(given):
    """The checked configuration: what was given, on top of the defaults."""
    if not isinstance(given, dict):
        raise ConfigError("a configuration is a JSON object")
    config = merge(copy.deepcopy(DEFAULTS), given)
    only(config, DEFAULTS, "configuration")
    only(config["modes"], DEFAULTS["modes"], "modes")
    for mode, value in config["modes"].items():
        check_mode(mode, value)
    for name, workspace in config["workspaces"].items():
        only(workspace or {}, WORKSPACE_KEYS, "workspace %s" % name)
    only(config["workspace_pattern"] or {}, PATTERN_KEYS, "workspace_pattern")
    only(config["rate_limit"] or {}, RATE_KEYS, "rate_limit")
    only(config["proxy"], DEFAULTS["proxy"], "proxy")
    return config


def check_mode(mode, value):
    if mode == "token_header" and str(value).lower().startswith("x-"):
        return                  # any one header of the test's own choice
    if mode in CHOICES:
        if value not in CHOICES[mode]:
            raise ConfigError("mode %s is one of %s, not %r"
                              % (mode, ", ".join(CHOICES[mode]), value))
    elif type(value) is not type(DEFAULTS["modes"][mode]):
        raise ConfigError("mode %s cannot be %r" % (mode, value))


def only(members, known, where):
    """Refuse what is no object, or has a member that nobody would read."""
    if not isinstance(members, dict):
        raise ConfigError("%s: not an object: %r" % (where, members))
    for name in members:
        if name not in known:
            raise ConfigError("%s: unknown member %r" % (where, name))
