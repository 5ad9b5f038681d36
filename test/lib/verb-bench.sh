# shellcheck shell=bash disable=SC2154 # others' variables
#
#> bench [NAME [RUNS]]      measure, side by side with what is possible: pages
#>                          or engine (default: both)

bench_timeout_s=900

verb_needs() {
    need_build
    need_server
    need_tests
}

verb_main() {
    local names=("${1:-pages}") name

    (($# > 0)) || names=(pages engine)
    source "$lib/verb-check.sh"
    build_extension &>"$workplace/log/build.log" ||
        die "it does not build: $(cat "$workplace/log/build.log")"
    extension_settings >"$workplace/server.conf"
    export_tap_environment
    for name in "${names[@]}"; do
        job "$bench_timeout_s" perl "test/bench/$name.pl" "${@:2}"
    done
}
