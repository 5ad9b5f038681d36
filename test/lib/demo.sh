# shellcheck shell=bash disable=SC2154 # others' variables
#
# What the verbs demo and psql share: a server worth looking at.

start_demo() {
    local log=$workplace/log/start.log

    say 'building velt_fdw; starting a private PostgreSQL and the simulator'
    if ! { build_extension && start_server && fill_customers; } &>"$log"; then
        cat "$log" >&2
        die 'the demo could not be started'
    fi
}

# A table of the user's own, to join with.
fill_customers() {
    job "$start_timeout_s" psql -X -q -v ON_ERROR_STOP=1 \
        -f test/demo/customers.sql
}
