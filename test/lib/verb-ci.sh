# shellcheck shell=bash disable=SC1090,SC1091,SC2034,SC2154 # others' parts
#
#> ci [STAGE...]            what has to pass before a change goes in: check,
#>                          gates, coverage, fuzz 60 and soak 60, or some
#
# A stage is another verb, run as from outside: with a workplace of its own,
# as an ordinary user.  What they all need is installed first, at once.

source "$lib/verb-check.sh"

verb_stays=yes

# stages_of [STAGE...]: sets stages
stages_of() {
    local stage

    stages=(check gates coverage 'fuzz 60' 'soak 60')
    (($# == 0)) || stages=("$@")
    for stage in "${stages[@]}"; do
        [[ -r $lib/verb-${stage%% *}.sh ]] || die "there is no stage \"$stage\""
    done
}

verb_needs() {
    local stage package purpose reason

    stages_of "$@"
    for stage in "${stages[@]}"; do
        while IFS=$'\t' read -r package purpose reason; do
            [[ " ${missing[*]} " == *" $package "* ]] || {
                missing+=("$package")
                missing_purpose+=("$purpose")
                missing_reason+=("$reason")
            }
        done < <(list_needs "$stage")
    done
}

# What a stage finds missing; in a subshell, as verbs have functions of the
# same names.
list_needs() {
    local i verb arguments

    read -r verb arguments <<<"$1"
    source "$lib/verb-$verb.sh"
    # shellcheck disable=SC2086 # its words
    find_missing $arguments
    for i in "${!missing[@]}"; do
        printf '%s\t%s\t%s\n' "${missing[i]}" "${missing_purpose[i]}" \
            "${missing_reason[i]}"
    done
}

verb_main() {
    local stage outcomes=() outcome started

    stages_of "$@"
    started=$(now_ms)
    child=
    scratch=$(mktemp -d)
    : >"$scratch/failures"
    trap close_ci EXIT
    for stage in "${stages[@]}"; do
        run_stage "$stage"
    done
    cat "$scratch/failures"
    for outcome in "${outcomes[@]}"; do
        IFS=$'\t' read -r -a outcome <<<"$outcome"
        result stage "${outcome[@]}"
    done
    say "all that took $(seconds $(($(now_ms) - started)))"
    echo "$total_passed passed, $total_failed failed"
    ((total_failed == 0))
}

# With a stage end all that it started.
close_ci() {
    trap '' HUP INT TERM
    if [[ -n $child ]]; then
        kill -s TERM "$child" 2>/dev/null || true
        wait "$child" || true
    fi
    rm -rf "$scratch"
}

# Adds to outcomes.  The log is complete when its reader has ended.
run_stage() {
    local started status=0 reader passed failed

    say "$1"
    started=$(now_ms)
    mkfifo "$scratch/pipe"
    tee "$scratch/log" <"$scratch/pipe" &
    reader=$!
    # shellcheck disable=SC2086 # its words
    "$root/test/run" $1 </dev/null >"$scratch/pipe" 2>&1 &
    child=$!
    wait "$child" || status=$?
    child=
    wait "$reader" || true
    rm "$scratch/pipe"
    failures "$1" "$scratch/log" >>"$scratch/failures"
    read -r passed failed < <(totals "$scratch/log")
    # nor may it have had nothing to say
    ((failed > 0 || (status == 0 && passed > 0))) || failed=1
    outcomes+=("$1"$'\t'"$passed"$'\t'"$failed"$'\t'$(($(now_ms) - started)))
}

# failures STAGE LOG: repeat what failed and the first lines of its log, for
# readers of the end of a long output
failures() {
    awk -v stage="$1" '/^FAILED/ { print $0 " (" stage ")"; left = 30 }
        /^    \|/ && left > 0 { print; left-- }' "$2"
}

# Of a stage's last line, if it came so far
totals() {
    awk '/^[0-9]+ passed, [0-9]+ failed$/ { passed = $1; failed = $3 }
        END { print passed + 0, failed + 0 }' "$1"
}
