# shellcheck shell=bash disable=SC2034 # others' variables
#
#> packages                 install what the other verbs need, and no more

verb_stays=yes

verb_needs() {
    need_build
    need_server
    need_tests
}

verb_main() {
    :
}
