# shellcheck shell=bash disable=SC2154 # others' variables
#
#> bench [WORK [RUNS]]      measure, side by side with what people do today
#>                          and with what is possible: keys, tokens, lookup,
#>                          limit, join, union, protocols, growth or engine
#>                          (default: all but the last, 7 runs of everything,
#>                          which takes an hour and a quarter; leaves results.md
#>                          and results.svg in a directory it names); with
#>                          VELT_BENCH_SECONDS, none begins a run that has used
#>                          so many of a work, nor a peer so many as
#>                          VELT_BENCH_PEER_SECONDS

# A slower machine than ours is to reach the end, too.
bench_timeout_s=14400
bench_runs=7

verb_needs() {
    need_build
    need_server
    need_tests
    need "postgresql-plpython3-$default_postgres" 'PL/Python, a peer' has_plpython
    need jq 'of the peer that is a shell script' command -v jq
    need curl 'of the same' command -v curl
    need gnuplot-nox 'the plot' command -v gnuplot
}

# Without PostgreSQL, its absence is enough to say.
has_plpython() {
    [[ -z ${PG_CONFIG:-} ]] ||
        [[ -e $("$PG_CONFIG" --sharedir)/extension/plpython3u.control ]]
}

verb_main() {
    local work=${1:-} runs=${2:-$bench_runs} results=$workplace/results
    local program=(report.pl "$results" "$runs" ${work:+"$work"})

    [[ $work != engine ]] || program=(engine.pl "$runs")
    source "$lib/verb-check.sh"
    build_extension &>"$workplace/log/build.log" ||
        die "it does not build: $(cat "$workplace/log/build.log")"
    extension_settings >"$workplace/server.conf"
    export_tap_environment
    # a single query may take long
    export PG_TEST_TIMEOUT_DEFAULT=$bench_timeout_s
    mkdir "$results"
    # what it says on standard error is in a log, as with any TAP test
    job "$bench_timeout_s" perl "test/bench/${program[0]}" "${program[@]:1}" ||
        { tail -n 20 "$TESTLOGDIR"/*; return 1; }
    keep_results "$results"
}

# The copy of the tree that this works in goes away with it.
keep_results() {
    local kept

    [[ -e $1/results.md ]] || return 0
    kept=$(mktemp -d "${workplace%/*}/velt_fdw-bench.XXXXXXXX")
    chmod 755 "$kept"
    cp "$1"/results.* "$kept"
    echo "results: $kept; README.md shows those in test/bench"
}
