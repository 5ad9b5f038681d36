# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> demo                     the queries a user comes for, on a server of its own

verb_needs() {
    need_build
    need_server
}

verb_main() {
    source "$lib/demo.sh"
    start_demo
    write_script >"$workplace/demo.sql"
    with_simulator psql -X -v ON_ERROR_STOP=1 -P pager=off \
        -f "$workplace/demo.sql"
    say 'now yours: test/run psql'
}

# A psql script that prints each statement before its result.
write_script() {
    local query

    show test/demo/connect.sql
    for query in test/demo/query-*.sql; do
        show "$query"
        printf '%s\n' '\echo The same, as EXPLAIN (ANALYZE, COSTS OFF):'
        echo 'EXPLAIN (ANALYZE, COSTS OFF)'
        statements "$query"
    done
}

# What a file is for, which is its first comment; what it does; what that
# gives.
show() {
    printf '%s\n' '\echo'
    sed -n "s/'/''/g; s/^-- \(.*\)/\\\\echo '-- \1'/p" "$1"
    echo '\set ECHO queries'
    statements "$1"
    echo '\set ECHO none'
}

# With an empty line for an empty line.
statements() {
    sed '/^-- /d; s/^$/\\echo/' "$1"
}
