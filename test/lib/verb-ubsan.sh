# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> ubsan [SUITE [NAME...]]  check with UndefinedBehaviorSanitizer in the
#>                          server: unit, regress or tap

source "$lib/sanitize.sh"

verb_main() {
    sanitize undefined print_stacktrace=1 "$@"
}
