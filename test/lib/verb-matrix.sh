# shellcheck shell=bash disable=SC1091,SC2034,SC2154 # others' variables
#
#> matrix [VERSION...]      as root: check with PostgreSQL 15, 17, 18 and 19,
#>                          each in a chroot of the Debian that has it; 17
#>                          also as what 15 is upgraded to, and 18 also as
#>                          18-assertions, built with assertions
#
# A chroot is a fresh system but for the packages; chroot.sh says where it is.

source "$lib/chroot.sh"

verb_stays=yes

# Debian has no PostgreSQL 16.
declare -A suites_of=([15]=bookworm [17]=trixie [18]=forky [19]=sid
    [18-assertions]=forky)

# The version that pg_upgrade comes from, where that is another.
declare -A older_than=([17]=15)

# Versions that Debian's suite itself has not, or not yet.
declare -A experimental=([19]=yes)

# Those whose server is built from Debian's source with assertions, which its
# packages are without.  The newest release has most of them, and the planner's
# checks of what outer joins make NULL, which came with 16.
declare -A assertions=([18-assertions]=yes)

server_timeout_s=7200

verb_needs() {
    need_chroots
}

verb_main() {
    local version versions=("$@") failed=0

    ((EUID == 0)) || die 'matrix needs root, for chroots'
    (($# > 0)) || mapfile -t versions < <(printf '%s\n' "${!suites_of[@]}" |
        sort --version-sort)
    for version in "${versions[@]}"; do
        [[ -n ${suites_of[$version]:-} ]] ||
            die "there is no Debian for PostgreSQL $version"
    done
    open_cache
    for version in "${versions[@]}"; do
        try_version "$version" || failed=1
    done
    print_table
    ((failed == 0))
}

# ----------
# A chroot
# ----------

# make_chroot VERSION DIRECTORY: it has its name when it is complete
make_chroot() {
    local suite=${suites_of[$1]} new=$2.new

    say "making a chroot of $suite for PostgreSQL $1"
    if ! { bootstrap "$suite" "$new" && set_sources "$1" "$new" &&
        in_chroot "$new" "PG_CONFIG=$(pg_config_of "$1") \
            test/run packages" && add_older "$1" "$new" &&
        add_assertions "$1" "$new"; } \
        &>"$scratch/log"; then
        tail -n 30 "$scratch/log" >&2
        return 1
    fi
    mv "$new" "$2"
}

# set_sources VERSION DIRECTORY
set_sources() {
    local apt=$2/etc/apt

    [[ -n ${experimental[$1]:-} ]] || return 0
    echo "deb $mirror experimental main" \
        >"$apt/sources.list.d/experimental.list"
    printf '%s\n' "Package: src:postgresql-$1" 'Pin: release a=experimental' \
        'Pin-Priority: 990' >"$apt/preferences.d/postgresql"
}

# add_older VERSION DIRECTORY: beside it, the version that it is upgraded from,
# of the suite that has that one; all else stays the newer suite's
add_older() {
    local old=${older_than[$1]:-}

    [[ -n $old ]] || return 0
    echo "deb $mirror ${suites_of[$old]} main" \
        >"$2/etc/apt/sources.list.d/${suites_of[$old]}.list" &&
        in_chroot "$2" "PG_CONFIG=$(pg_config_of "$old") test/run packages"
}

# add_assertions VERSION DIRECTORY: in the place of Debian's server, the same
# with assertions
add_assertions() {
    local source=postgresql-${1%-*} chroot_timeout_s=$server_timeout_s

    [[ -n ${assertions[$1]:-} ]] || return 0
    in_chroot "$2" "set -e
        echo 'deb-src $mirror ${suites_of[$1]} main' \
            >/etc/apt/sources.list.d/source.list
        apt-get -q update
        apt-get -q -y --no-install-recommends build-dep $source
        cd /tmp
        apt-get -q source $source
        cd $source-*
        PATH=$(dirname "$(pg_config_of "$1")"):\$PATH
        options=\$(pg_config --configure |
            sed \"s/'--runstatedir=[^']*'//\")
        # a JIT compiler without assertions knows other structs
        eval \"./configure -q \$options\" --enable-cassert --without-llvm
        rm -f \$(pg_config --pkglibdir)/llvmjit*
        make -s -j\$(nproc) world-bin
        make -s install-world-bin
        pg_config --configure | grep cassert"
}

pg_config_of() {
    echo "/usr/lib/postgresql/${1%-*}/bin/pg_config"
}

# ----------
# A version
# ----------

# Whether all went well.
try_version() {
    local old=${older_than[$1]:-} log=$scratch/$1.log status=0
    local directory=$cache/$1-${suites_of[$1]}${old:+-from-$old}
    local started pg_config

    pg_config=$(pg_config_of "$1")
    started=$(now_ms)
    if [[ ! -d $directory ]] && ! make_chroot "$1" "$directory"; then
        note "$1" - - - - 'no chroot could be made' "$started"
        return 1
    fi
    say "PostgreSQL $1, in a chroot of ${suites_of[$1]}"
    in_chroot "$directory" "PG_CONFIG=$pg_config \
        OLD_PG_CONFIG=$(pg_config_of "${old:-$1}") test/run check" \
        > >(tee "$log") 2>&1 || status=$?
    # shellcheck disable=SC2046 # its words
    note "$1" $(versions_in "$directory" "$pg_config" |
        sed "1s/\$/${assertions[$1]:++assert}/") \
        "$(outcome "$log" "$status")" "$started"
    note_upgrade "$1" "${old:-$1}" "$log"
    return "$status"
}

# note_upgrade VERSION OLD LOG: a line of its own, as it counts among the tests
note_upgrade() {
    awk -v debian="${suites_of[$1]}" -v versions="${2%-*} to ${1%-*}" \
        '$3 ~ /_pg_upgrade$/ {
            printf "%-9s %-11s %-24s %-36s %8s\n", debian, versions, "",
                "pg_upgrade: " $1, $(NF - 1) " " $NF
        }' "$3" >>"$scratch/table"
}

# PostgreSQL's, libcurl's, json-c's and the compiler's.
versions_in() {
    chroot "$1" "$2" --version | cut -d ' ' -f 2
    chroot "$1" pkg-config --modversion libcurl json-c
    chroot "$1" gcc -dumpfullversion
}

outcome() {
    local total warnings

    total=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$1" | tail -n 1) || true
    warnings=$(grep -c '^ *| src/.*warning:' "$1") || true
    echo "${total:-ended with status $2}, $warnings warnings"
}

# note VERSION POSTGRESQL LIBCURL JSON-C GCC OUTCOME STARTED
note() {
    printf '%-9s %-11s %-8s %-7s %-7s %-36s %8s\n' "${suites_of[$1]}" \
        "${@:2:5}" "$(seconds $(($(now_ms) - $7)))" >>"$scratch/table"
}

print_table() {
    keep_chroot_logs
    printf '%-9s %-11s %-8s %-7s %-7s %-36s %8s\n' Debian PostgreSQL libcurl \
        json-c gcc outcome time
    cat "$scratch/table"
}
