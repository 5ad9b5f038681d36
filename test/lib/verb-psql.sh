# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> psql [ARGUMENT...]       a session on a demo of its own

verb_needs() {
    need_build
    need_server
}

verb_main() {
    source "$lib/demo.sh"
    start_demo
    # For psql to act upon, not for us.
    trap : INT
    PSQLRC=test/demo/session.psqlrc with_simulator psql "$@"
}
