# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> check [SUITE [NAME...]]  build, and run every test, or those of one suite:
#>                          layers, unit, fuzz, regress or tap

source "$lib/tasks.sh"

suites=(layers unit fuzz regress tap)
unit_timeout_s=300
fuzz_timeout_s=300
regress_timeout_s=300
# The full form of tests has many times the work; one test waits for pg_cron's
# next full minute.
tap_timeout_s=$((${VELT_TEST_FULL:-0} ? 3600 : 180))

# How much of a log a failure shows.
detail_lines=60

total_passed=0
total_failed=0

verb_needs() {
    [[ " ${suites[*]} " == *" ${1:-tap} "* ]] ||
        die "there is no suite \"$1\", but: ${suites[*]}"
    need_build
    need_server
    need_tests
}

verb_main() {
    if build; then
        run_suites "$@"
    fi
    conclude
}

# run_suites [SUITE [NAME...]]: what is short at once, the rest side by side
run_suites() {
    local suite=${1:-}

    (($# == 0)) || shift
    extension_settings >"$workplace/server.conf"
    for suite in ${suite:-"${suites[@]}"}; do
        "check_$suite" "$@"
    done
    run_tasks
}

conclude() {
    ((total_failed == 0)) || keep_logs
    echo "$total_passed passed, $total_failed failed"
    ((total_failed == 0))
}

# ----------
# Reporting
# ----------

# result SUITE NAME PASSED FAILED MILLISECONDS: of one test, or of a program
# of several
result() {
    local mark=ok count=''

    ((total_passed += $3, total_failed += $4)) || true
    (($3 + $4 > 0)) || mark=skipped
    (($3 + $4 < 2)) || count="$(($3 + $4)) tests"
    if (($4 > 0)); then
        mark=FAILED
        (($3 + $4 < 2)) || count="$4 of $count"
    fi
    printf '%-8s %-8s %-42s %12s %8s\n' \
        "$mark" "$1" "$2" "$count" "$(seconds "$5")"
}

# detail: of a failure, on standard input
detail() {
    sed -n "1,${detail_lines}s/^/    | /p"
}

keep_logs() {
    local kept

    kept=$(mktemp -d "${workplace%/*}/velt_fdw-logs.XXXXXXXX")
    cp -r "$workplace/log/." "$kept"
    [[ ! -d $workplace/tap ]] || cp -r "$workplace/tap/tmp_check/log" "$kept/tap"
    echo "logs: $kept"
}

# ----------
# The build: without warnings
# ----------

build() {
    local log=$workplace/log/build.log started status=0

    started=$(now_ms)
    build_extension &>"$log" || status=$?
    if ((status == 0)) && ! grep -q '^src/.*warning:' "$log"; then
        result build 'without warnings' 1 0 $(($(now_ms) - started))
    else
        result build 'without warnings' 0 1 $(($(now_ms) - started))
        grep -E 'warning:|error:|\*\*\*' "$log" | detail
    fi
    return "$status"
}

# ----------
# The layers: who includes whom, and who can do without whom.  Each check
# prints what is against its rule.
# ----------

# From the top down; none includes one above it.
floors=(commands optimizer executor foreign client)

check_layers() {
    layer 'client links without a server' client_link_errors
    layer 'client includes nothing of PostgreSQL' foreign_headers_of_client
    layer 'libcurl and json-c are for client alone' strays_of_libraries
    layer 'no floor includes one above it' upward_includes
    layer 'versions are for pg_compat.h alone' strays_of_versions
}

layer() {
    local started offences

    started=$(now_ms)
    offences=$("$2" 2>&1) || true
    if [[ -z $offences ]]; then
        result layers "$1" 1 0 $(($(now_ms) - started))
    else
        result layers "$1" 0 1 $(($(now_ms) - started))
        detail <<<"$offences"
    fi
}

client_link_errors() {
    # shellcheck disable=SC2046 # its words
    gcc -shared -Wl,-z,defs -o "$workplace/tmp/client.so" src/client/*.o \
        $(pkg-config --libs libcurl json-c zlib) -lm
}

foreign_headers_of_client() {
    grep -nE '# *include *"' src/client/*.[ch] | grep -v '"client/'
    grep -nE '# *include *<(postgres|pg_|pgxs|libpq|server/)' src/client/*.[ch]
}

strays_of_libraries() {
    grep -rnE '# *include *[<"](curl|json-c)/' src --include='*.[ch]' |
        grep -v '^src/client/'
    # nor declared by hand
    find src -name '*.o' ! -path 'src/client/*' -exec nm -A -u {} + |
        grep -E ' U (curl|json_(object|tokener|c))_'
}

upward_includes() {
    local above='' floor

    for floor in "${floors[@]}"; do
        [[ -z $above ]] ||
            grep -nE "# *include *\"($above)/" src/"$floor"/*.[ch] | only_ours
        above=${above:+$above|}$floor
    done
}

# PostgreSQL's own folders have the same names.
only_ours() {
    local line

    while read -r line; do
        [[ $line =~ \"(.*)\" && ! -e src/${BASH_REMATCH[1]} ]] ||
            echo "$line"
    done
}

strays_of_versions() {
    grep -rn PG_VERSION_NUM src --include='*.[ch]' | grep -v '^src/pg_compat'
}

# ----------
# Unit tests of the client, without a server
# ----------

check_unit() {
    add_task unit client
}

start_unit() {
    start_job "$unit_timeout_s" make -s -j"$(nproc)" unit
}

report_unit() {
    report_protocol unit "$@"
}

# The fuzz targets over what is known to be hard, with the sanitizers; test/run
# fuzz looks for more.
check_fuzz() {
    add_task fuzz corpus
}

start_fuzz() {
    local make=(make -s -j"$(nproc)" -f test/fuzz/Makefile)

    start_job "$fuzz_timeout_s" env -u COPT -u LD_PRELOAD "${make[@]}" replay
}

report_fuzz() {
    report_protocol fuzz "$@"
}

# tap_result SUITE NAME SECONDS PROGRAM ARGUMENT...: of a program that says it
# in TAP, run alone
tap_result() {
    local suite=$1 name=$2 started status=0

    shift 2
    started=$(now_ms)
    job "$@" &>"$(log_of "$suite" "$name")" || status=$?
    report_protocol "$suite" "$name" "$status" $(($(now_ms) - started))
}

# report_protocol SUITE NAME STATUS MILLISECONDS: its log is in TAP
report_protocol() {
    local log counts

    log=$(log_of "$1" "$2")
    read -ra counts < <(awk -v status="$3" -f test/lib/tap.awk "$log")
    result "$1" "$2" "${counts[@]}" "$4"
    if ((counts[1] > 0)); then
        failures_of_tap "$3" <"$log" | detail
    fi
}

# What did not pass, with its diagnosis; where it is something else that
# failed, the log's end.
failures_of_tap() {
    local log

    log=$(cat)
    grep -a -A 12 '^not ok' <<<"$log" | grep -aE '^(not ok|#)' || tail -n 20 <<<"$log"
    (($1 == 0)) || echo "exit status $1$( (($1 != 124)) || echo ': timed out')"
}

# ----------
# SQL tests
# ----------

# check_regress NAME...: default is all
check_regress() {
    regress_names=("$@")
    (($# > 0)) || list_regress
    add_task regress all
}

start_regress() {
    local options=(--temp-instance="$workplace/regress"
        --temp-config="$workplace/server.conf" --encoding=UTF8)

    start_job "$regress_timeout_s" make -s installcheck \
        REGRESS="${regress_names[*]}" EXTRA_REGRESS_OPTS="${options[*]}"
}

# Each of its tests has its own result.
report_regress() {
    local log name unfinished=0

    log=$(log_of regress "$1")
    for name in "${regress_names[@]}"; do
        regress_result "$name" "$log" || unfinished=1
    done
    if [[ -s regression.diffs ]]; then
        cp regression.diffs "$workplace/log"
        detail <regression.diffs
    fi
    ((unfinished == 0)) || tail -n 20 "$log" | detail
}

# The Makefile's list, as the order may matter; but none is to be forgotten.
list_regress() {
    local file name

    read -ra regress_names < <(make_variable REGRESS) || regress_names=()
    for file in sql/*.sql; do
        name=$(basename "$file" .sql)
        [[ " ${regress_names[*]} " == *" $name "* ]] || result regress \
            "$name: not in the Makefile's REGRESS" 0 1 0
    done
}

# regress_result NAME LOG: status 1 where pg_regress gave up before this test
regress_result() {
    local outcome ms

    read -r _ outcome ms < <(awk -f test/lib/regress.awk "$2" |
        awk -v name="$1" '$1 == name') || ms=0
    # From PostgreSQL 16 on there are decimals.
    ms=${ms%.*}
    if [[ $outcome == ok ]]; then
        result regress "$1" 1 0 "$ms"
    else
        result regress "$1" 0 1 "$ms"
    fi
    [[ -n $outcome ]]
}

make_variable() {
    make -s --eval="print: ; @echo \$($1)" print
}

# ----------
# TAP tests, each on servers of its own
# ----------

# check_tap NAME...: of a file in test/t, without .pl; default is all
check_tap() {
    local name names=("$@")

    if (($# == 0)); then
        names=(test/t/*.pl)
        names=("${names[@]#test/t/}")
        names=("${names[@]%.pl}")
    fi
    export_tap_environment
    for name in "${names[@]}"; do
        add_task tap "$name"
    done
}

start_tap() {
    start_job "$tap_timeout_s" perl "test/t/$1.pl"
}

report_tap() {
    report_protocol tap "$@"
}

# As PGXS has it for installcheck, and what lets a server find the extension.
export_tap_environment() {
    local tests data=$workplace/tap/tmp_check bin

    tests=$(pgxs_tests)
    bin=$(pg_path bindir)
    export VELT_INITDB=$bin/initdb VELT_TEMPLATES=$workplace/templates
    mkdir -p "$VELT_TEMPLATES"
    PATH=$PWD/test/lib/bin:$bin:$PATH
    export PATH
    export PERL5LIB=$PWD/test/perl:$tests/perl
    export PG_REGRESS=$tests/regress/pg_regress
    export TEMP_CONFIG=$workplace/server.conf
    # The first is what PostgreSQL 15 reads, the others are for later ones.
    export TESTDIR=$workplace/tap TESTDATADIR=$data TESTLOGDIR=$data/log
    mkdir -p "$TESTLOGDIR"
}
