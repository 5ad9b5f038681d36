# shellcheck shell=bash disable=SC1091,SC2034,SC2154 # others' parts
#
#> coverage                 check that counts lines: which of src/ no test runs;
#>                          fails below 95 % of client/, 90 % of the rest

source "$lib/verb-check.sh"

suites=(unit regress tap)

# The least percentage of lines that a part's tests have to run
client_lines_pct=95
server_lines_pct=90

report_timeout_s=120

# Without optimization, and each process writes its counts when it ends.
((unit_timeout_s *= 2, regress_timeout_s *= 2, tap_timeout_s *= 2))

verb_needs() {
    need_build
    need_server
    need_tests
    need gcovr 'to sum up what gcov counts' command -v gcovr
}

verb_main() {
    # PGXS adds these to both the compiler's options and the linker's.
    export COPT='--coverage -O0 -U_FORTIFY_SOURCE'
    if build; then
        run_suites
        report_coverage
    fi
    conclude
}

# The client's tests have a build of their own: its counts are added.
start_unit() {
    start_job "$unit_timeout_s" make -s -j"$(nproc)" unit \
        UNIT_VARIANT=coverage UNIT_CFLAGS="-g $COPT"
}

report_coverage() {
    local log=$workplace/log/gcovr.log

    # Lines of functions in headers, which are in many objects, add up, too.
    if ! job "$report_timeout_s" gcovr --root . --filter src/ \
        --json "$workplace/log/coverage.json" src test/unit/obj &>"$log"; then
        result coverage 'gcovr sums up what was counted' 0 1 0
        tail -n 20 "$log" | detail
        return
    fi
    cover client "$client_lines_pct" --filter src/client/
    cover server "$server_lines_pct" --exclude src/client/
}

# cover NAME LEAST OPTION...: each file of a part, with the lines not run
cover() {
    local name=$1 least=$2 log=$workplace/log/coverage-$1.log started status=0
    local outcome=(1 0)

    shift 2
    started=$(now_ms)
    job "$report_timeout_s" gcovr --root . \
        --add-tracefile "$workplace/log/coverage.json" "$@" \
        --txt --sort-uncovered --fail-under-line "$least" \
        >"$log" 2>"$log.err" || status=$?
    ((status == 0)) || outcome=(0 1)
    result coverage "$name: $(lines_covered "$log"), of $least % at least" \
        "${outcome[@]}" $(($(now_ms) - started))
    # no rules, no empty lines, no total
    sed -n 's/^\(File\|src\/\)/    | \1/p' "$log"
}

lines_covered() {
    awk '/^TOTAL/ { printf "%s of %s lines, %s", $3, $2, $4 }' "$1"
}
