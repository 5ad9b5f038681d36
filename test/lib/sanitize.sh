# shellcheck shell=bash disable=SC1091,SC2034,SC2154 # others' parts
#
# What the verbs asan and ubsan share: the suites of check, with the extension
# built to find its own faults, in a server that was not.

source "$lib/verb-check.sh"

suites=(unit regress tap)

# All of it takes longer so.
((unit_timeout_s *= 4, regress_timeout_s *= 4, tap_timeout_s *= 4))

# sanitize SANITIZER OPTIONS [SUITE [NAME...]]: as -fsanitize names it; its
# run-time options
sanitize() {
    local sanitizer=$1 reports=$workplace/log/reports options

    mkdir "$reports"
    # PGXS adds these to both the compiler's options and the linker's.
    export COPT="-fsanitize=$sanitizer -fno-omit-frame-pointer -g -O1"
    options=$2:log_path=$reports/report
    shift 2
    if build; then
        "preload_$sanitizer"
        run_suites "$@"
        unset LD_PRELOAD
        count_reports "$reports"
    fi
    conclude
}

# It has to be there before anything is allocated, in whatever program loads
# the extension: so in all of them, as tests start servers in many ways.
preload_address() {
    build_preloaded
    export ASAN_OPTIONS=$options
    LD_PRELOAD=$(gcc -print-file-name=libasan.so):$LD_PRELOAD
}

preload_undefined() {
    build_preloaded
}

build_preloaded() {
    local object=$workplace/tmp/preloaded.so

    gcc -shared -fPIC -Wl,-z,initfirst -DOPTIONS="\"$options\"" -o "$object" \
        test/proof/preloaded.c
    export LD_PRELOAD=$object
}

# The client's tests have a build of their own, with both sanitizers and a
# search for leaks.
start_unit() {
    start_job "$unit_timeout_s" \
        env -u COPT -u LD_PRELOAD -u ASAN_OPTIONS \
        make -s -j"$(nproc)" unit-sanitize
}

# Also of what failed no test: one in a process that nobody asked again.
count_reports() {
    local files=("$1"/*)

    if [[ -e ${files[0]} ]]; then
        result reports 'none by the sanitizer' 0 "${#files[@]}" 0
        cat "${files[@]}" | detail
    else
        result reports 'none by the sanitizer' 1 0 0
    fi
}
