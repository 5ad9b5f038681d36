# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> asan [SUITE [NAME...]]   check with AddressSanitizer in the server: unit,
#>                          regress or tap

source "$lib/sanitize.sh"

# A backend leaves its memory to the kernel: LeakSanitizer would tell of
# nothing else.  What is freed is kept for a while, to catch its users; but
# only so much, as tests watch the size of backends.
asan_options=detect_leaks=0:abort_on_error=1:disable_coredump=1
asan_options+=:quarantine_size_mb=1:thread_local_quarantine_size_kb=64

verb_main() {
    sanitize address "$asan_options" "$@"
}
