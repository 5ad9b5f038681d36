#!/usr/bin/env python3
"""The Velt workspace API on loopback, for tests, the demo and benchmarks.

    simulator.py serve ...      be the API; prints where, as a line of JSON
    simulator.py ctl URL ...    change and ask a running simulator
    simulator.py certs DIR      make certificates for TLS tests

README.md is the reference.
"""

import importlib
import sys

VERBS = ("serve", "ctl", "certs")

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        sys.exit(__doc__.strip())
    # Only what the verb needs: ctl must start fast.
    importlib.import_module(sys.argv[1]).main(sys.argv[2:])
