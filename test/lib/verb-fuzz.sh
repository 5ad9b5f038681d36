# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> fuzz [SECONDS [TARGET...]]
#>                          libFuzzer over the client's parsers, so long each
#>                          (60), from the corpus in test/fuzz

source "$lib/verb-check.sh"

# How long a target may take beside its time, as the machine is shared.
fuzz_grace_s=120

verb_needs() {
    [[ ${1:-60} =~ ^[0-9]+$ ]] || die "\"$1\" is no number of seconds"
    need_build
    need clang 'for libFuzzer' command -v clang
    need "$(libfuzzer_package)" 'libFuzzer, with the sanitizers' has_libfuzzer
    need binutils 'for objcopy' command -v objcopy
}

has_libfuzzer() {
    echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -fsanitize=address,fuzzer -x c -o /dev/null -
}

# Of the version that this Debian's clang is, which only recommends it
libfuzzer_package() {
    local version

    version=$(apt-cache depends clang 2>/dev/null |
        sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p')
    echo "libclang-rt-${version:-14}-dev"
}

verb_main() {
    local seconds=${1:-60} targets=("${@:2}") target

    if ((${#targets[@]} == 0)); then
        targets=(test/fuzz/*_fuzz.c)
        targets=("${targets[@]#test/fuzz/}")
        targets=("${targets[@]%_fuzz.c}")
    fi
    job "$build_timeout_s" "${make_fuzz[@]}" fuzzers \
        &>"$workplace/log/build.log" ||
        die "the fuzzers do not build: $(cat "$workplace/log/build.log")"
    # As many side by side as there are processors.
    job "$((seconds * ${#targets[@]} + fuzz_grace_s))" "${make_fuzz[@]}" \
        FUZZ_SECONDS="$seconds" FUZZ_LOG="$workplace/log" \
        "${targets[@]/#/fuzz-}" || true
    for target in "${targets[@]}"; do
        fuzz_result "$target" "$workplace/log/$target" $((seconds * 1000))
    done
    conclude
}

make_fuzz=(make -s -j"$(nproc)" -f test/fuzz/Makefile)

# fuzz_result TARGET LOG MILLISECONDS: what it found is beside the logs, to be
# put into the corpus
fuzz_result() {
    local status=none

    read -r status 2>/dev/null <"$2.status" || true
    if [[ $status == 0 ]]; then
        result fuzz "$1: $(executions "$2.log")" 1 0 "$3"
    else
        result fuzz "$1: $(executions "$2.log")" 0 1 "$3"
        grep -v '^#' "$2.log" | tail -n "$detail_lines" | detail
    fi
}

executions() {
    local count edges

    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$1")
    edges=$(sed -n 's/^#.* cov: \([0-9]*\) .*/\1/p' "$1" | tail -n 1)
    echo "${count:-?} runs, ${edges:-?} edges"
}
