# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> sqlsmith [QUERIES [SEED]]
#>                          20,000 random queries (or so many): no crash, no
#>                          internal error, nothing left in flight

source "$lib/verb-check.sh"

sqlsmith_timeout_s=7200

verb_needs() {
    need_build
    need_server
    need_tests
    need sqlsmith 'to make up queries' command -v sqlsmith
}

verb_main() {
    if build; then
        extension_settings >"$workplace/server.conf"
        export_tap_environment
        tap_result sqlsmith "${1:-20000} queries" "$sqlsmith_timeout_s" \
            perl test/proof/sqlsmith.pl "$@"
        grep -E '^# (seed|requests|errors|.*error rate)|^ok .* in plans' \
            "$workplace/log/sqlsmith-${1:-20000} queries.log" || true
    fi
    conclude
}
