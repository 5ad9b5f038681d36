# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> valgrind [REPETITIONS]   scans, failures and cancels in a server under
#>                          memcheck, each so many times (1,000)

source "$lib/verb-check.sh"

# A repetition takes 10 ms or so, of some 26 statements.
valgrind_timeout_s=7200

verb_needs() {
    need_build
    need_server
    need_tests
    need valgrind 'to watch memory' command -v valgrind
}

verb_main() {
    if build; then
        extension_settings >"$workplace/server.conf"
        export_tap_environment
        tap_result valgrind "${1:-1000} repetitions" "$valgrind_timeout_s" \
            perl test/proof/valgrind.pl "$@"
        grep -E '^# .* bytes, and after' \
            "$workplace/log/valgrind-${1:-1000} repetitions.log" || true
    fi
    conclude
}
