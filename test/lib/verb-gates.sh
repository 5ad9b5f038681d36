# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> gates                    what the sources have to be: formatted, free of what
#>                          analyzers find, simple, documented by their names

source "$lib/verb-check.sh"

# What makes a function too long for a screen, or too much for a reader.
longest_function=80
highest_complexity=15

# Not what is a matter of taste, or always so in PostgreSQL: two parameters of
# a type, names with an underscore first, sizes computed as int, memcpy.
tidy_checks='-*,clang-analyzer-*,bugprone-*'
tidy_checks+=,-bugprone-easily-swappable-parameters
tidy_checks+=,-bugprone-reserved-identifier
tidy_checks+=,-bugprone-narrowing-conversions
tidy_checks+=,-bugprone-implicit-widening-of-multiplication-result
tidy_checks+=,-clang-analyzer-optin.performance.Padding
tidy_checks+=,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling

# How many states of a function the analyzer looks at: a third of its default,
# in a third of the time.
tidy_depth=75000

verb_needs() {
    local indent=pg-bsd-indent

    need_build
    need_server
    need_tests
    # PostgreSQL has it from 16 on.
    ((default_postgres < 16)) ||
        indent=postgresql-server-dev-$default_postgres
    need "$indent" "PostgreSQL's formatter of C" has_indent
    need binutils 'to read debugging information' command -v objdump
    need cppcheck 'analyzer of C' command -v cppcheck
    need clang-tidy 'analyzer of C' command -v clang-tidy
    need pmccabe 'to measure functions' command -v pmccabe
    need shellcheck 'analyzer of shell scripts' command -v shellcheck
}

has_indent() {
    command -v pg_bsd_indent ||
        compgen -G '/usr/lib/postgresql/*/bin/pg_bsd_indent'
}

verb_main() {
    gate 'formatted as by pgindent' format_offences
    gate 'cppcheck finds nothing' cppcheck_findings
    gate "functions: $longest_function lines, complexity $highest_complexity" \
        large_functions
    gate 'public names are as documented' name_offences
    gate 'shellcheck finds nothing' shellcheck_findings
    gate 'Perl compiles' perl_errors
    gate 'Python compiles' python_errors
    gate 'clang-tidy finds nothing' tidy_findings
    conclude
}

# gate NAME FUNCTION: which prints what is wrong, or at least fails
gate() {
    local started offences status=0

    started=$(now_ms)
    offences=$("$2" 2>&1) || status=$?
    if [[ $status == 0 && -z $offences ]]; then
        result gates "$1" 1 0 $(($(now_ms) - started))
    else
        result gates "$1" 0 1 $(($(now_ms) - started))
        detail <<<"${offences:-exit status $status}"
    fi
}

# ----------
# C
# ----------

format_offences() {
    make -s indent-check 2>&1 | grep -v '^make: '
    return "${PIPESTATUS[0]}"
}

# It knows of headers what its configuration says, and reads none but ours.
cppcheck_findings() {
    cppcheck -q -j"$(nproc)" --std=c11 --inline-suppr --error-exitcode=1 \
        --enable=warning,performance,portability \
        --library=posix --library=gnu --library=test/lib/cppcheck.cfg \
        -D__linux__ -D_GNU_SOURCE -Isrc -Itest/unit -Itest/fuzz src test
}

# A file at a time: of several it confuses their va_lists.
tidy_findings() {
    local flags

    read -ra flags < <(make_variable CPPFLAGS)
    find src -name '*.c' -print0 |
        xargs -0 -P"$(nproc)" -I{} clang-tidy --quiet --warnings-as-errors='*' \
            --checks="$tidy_checks" {} -- "${flags[@]}" \
            -Xclang -analyzer-config -Xclang "max-nodes=$tidy_depth" \
            2>/dev/null |
        sed "s|^$PWD/||"
    return "${PIPESTATUS[1]}"
}

large_functions() {
    find src test -name '*.[ch]' -print0 | xargs -0 pmccabe |
        awk -F'\t' -v lines="$longest_function" -v paths="$highest_complexity" '
            { sub(/\(/, ":", $6); sub(/\)/, "", $6) }
            $5 > lines { print $6 ": " $5 " lines" }
            $1 > paths { print $6 ": complexity " $1 }'
}

# ----------
# Names
# ----------

name_offences() {
    perl test/lib/names.pl README.md docs/*.md
}

# ----------
# Scripts
# ----------

# Where a script reads another from is known when it runs: each is checked by
# itself.
shellcheck_findings() {
    local file first

    find . -type f | while IFS= read -r file; do
        read -r first <"$file" || first=
        if [[ $file == *.sh || $first =~ ^'#!'.*sh$ ]]; then
            printf '%s\0' "$file"
        fi
    done 2>/dev/null | xargs -0 shellcheck --exclude=SC1091 --format=gcc
}

# What it merely warns of is seen when the tests run.
perl_errors() {
    local file said

    export PERL5LIB
    PERL5LIB=test/perl:$(pgxs_tests)/perl
    find . -name '*.p[lm]' | while IFS= read -r file; do
        said=$(perl -c "$file" 2>&1) || echo "$said"
    done
}

python_errors() {
    find . -name '*.py' -print0 | PYTHONPYCACHEPREFIX=$workplace/tmp \
        xargs -0 "${PYTHON:-python3}" -W error -m py_compile
}
