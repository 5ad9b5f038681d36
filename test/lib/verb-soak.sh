# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> soak [SECONDS [SEED]]    eight sessions at once for half an hour (or so many
#>                          seconds), among cancels, faults and restarts: each
#>                          result exact, each failure with a cause, and
#>                          nothing that grows

source "$lib/verb-check.sh"

# In less than that caches still fill.  In more, what PostgreSQL itself never
# forgets of tables that are made and dropped would count as growth.
soak_least_s=60
soak_most_s=7200

# Beyond its time: to set up, to come to rest, to judge.
soak_more_s=300

soak_figures='seed|queries|succeeded|failed|planned|longest|disturbances'
soak_figures+='|requests|cancel:|terminate:|backend [0-9] \('

verb_needs() {
    local seconds=${1:-$soak_least_s}

    if ! [[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] ||
        ((seconds < soak_least_s || seconds > soak_most_s)); then
        die "soak takes $soak_least_s to $soak_most_s seconds, not \"$1\""
    fi
    need_build
    need_server
    need_tests
}

verb_main() {
    if build; then
        extension_settings >"$workplace/server.conf"
        export_tap_environment
        soak "${1:-1800}" "${@:2}"
    fi
    conclude
}

# A line for each of its checks, and the figures.
soak() {
    local log=$workplace/log/soak.log status=0 started line outcome

    started=$(now_ms)
    job "$(($1 + soak_more_s))" perl test/proof/soak.pl "$@" &>"$log" ||
        status=$?
    outcome=(0 1)
    ((status > 0)) || outcome=(1 0)
    result soak "$1 seconds" "${outcome[@]}" $(($(now_ms) - started))
    while read -r line; do
        [[ $line =~ ^(not )?ok\ [0-9]+\ -\ (.*) ]] || continue
        outcome=(1 0)
        [[ -z ${BASH_REMATCH[1]} ]] || outcome=(0 1)
        result soak "${BASH_REMATCH[2]}" "${outcome[@]}" 0
    done <"$log"
    ((status == 0)) || failures_of_tap "$status" <"$log" | detail
    grep -E "^# ($soak_figures)" "$log" || true
}
