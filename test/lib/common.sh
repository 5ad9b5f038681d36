# shellcheck shell=bash disable=SC2154 # others' variables
#
# What every part of test/run uses: messages, and a clock.

# On standard error, by its number: /dev/stderr may belong to another user.
say() {
    printf 'test/run: %s\n' "$*" >&2
}

die() {
    say "$@"
    exit 1
}

# Now, in milliseconds; needs no program.  Outside C the decimal sign may be
# a comma.
now_ms() {
    local seconds=${EPOCHREALTIME%[.,]*} fraction=${EPOCHREALTIME#*[.,]}

    echo "$((seconds * 1000 + 10#$fraction / 1000))"
}

# seconds MS: as in "1.2 s"
seconds() {
    printf '%d.%d s' "$(($1 / 1000))" "$(($1 % 1000 / 100))"
}
