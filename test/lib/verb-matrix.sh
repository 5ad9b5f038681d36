# shellcheck shell=bash disable=SC2034,SC2154 # others' variables
#
#> matrix [VERSION...]      as root: check with PostgreSQL 15, 17, 18 and 19,
#>                          each in a chroot of the Debian that has it; 17
#>                          also as what 15 is upgraded to
#
# A chroot is made once and kept, with all packages, in VELT_MATRIX_CACHE
# (default ${XDG_CACHE_HOME:-/var/cache}/velt_fdw-matrix): remove it, to have a
# newer one.  It is a fresh system but for the packages: tests run in memory.
#
# Everything that is mounted is so in a mount namespace, and every process in
# a process namespace, that end with the program which this one waits for.

verb_stays=yes

# Debian has no PostgreSQL 16.
declare -A suites_of=([15]=bookworm [17]=trixie [18]=forky [19]=sid)

# The version that pg_upgrade comes from, where that is another.
declare -A older_than=([17]=15)

# Versions that Debian's suite itself has not, or not yet.
declare -A experimental=([19]=yes)

# The names that newer suites go by in debootstrap.
declare -A scripts_of=([forky]=sid)

check_timeout_s=1800

verb_needs() {
    need debootstrap 'to make a Debian in a directory' command -v debootstrap
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
# The cache, and what is to be removed at the end
# ----------

open_cache() {
    local lock

    cache=${VELT_MATRIX_CACHE:-${XDG_CACHE_HOME:-/var/cache}/velt_fdw-matrix}
    mkdir -p "$cache/packages"
    exec {lock}<"$cache"
    flock --nonblock "$lock" ||
        die "another run is using $cache; VELT_MATRIX_CACHE chooses another"
    find_mirror
    scratch=$(mktemp -d)
    child=
    trap close_cache EXIT
}

close_cache() {
    trap '' HUP INT TERM
    if [[ -n $child ]]; then
        # with it end all in its namespaces
        kill -s KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    rm -rf --one-file-system "$scratch" "$cache"/*.new
}

# Where this system has its own Debian from, as apt reads its sources.
find_mirror() {
    local VERSION_CODENAME=''

    # shellcheck source=/dev/null
    source /etc/os-release
    # shellcheck disable=SC2016 # they are apt's
    mirror=$(apt-get indextargets \
        --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' |
        awk -v own="$VERSION_CODENAME" \
            '($1 == own || $1 ~ /^(stable|testing|unstable|sid)$/) &&
                $2 == "main" { print $3; exit }')
    [[ -n $mirror ]] || die "apt has no mirror of Debian among its sources"
}

# ----------
# A chroot
# ----------

# in_namespaces PROGRAM ARGUMENT...: in namespaces of its own; waits for it
in_namespaces() {
    local status=0

    unshare --mount --pid --fork --kill-child "$@" &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}

# in_chroot DIRECTORY COMMAND: runs it in a copy of the tree, as a system
# would that has just been installed, with 64 MB of shared memory as in
# containers.  A failed test's logs go to $scratch.
in_chroot() {
    # shellcheck disable=SC2016 # the other bash's
    in_namespaces timeout --kill-after=5 "$check_timeout_s" "$BASH" -c '
        set -e
        directory=$1 logs=$2
        mount -t proc proc "$directory/proc"
        mount -t tmpfs -o mode=1777 tmpfs "$directory/tmp"
        mkdir -p "$directory/dev/shm"
        mount -t tmpfs -o mode=1777,size=64m tmpfs "$directory/dev/shm"
        mkdir "$directory/tmp/velt_fdw"
        tar -x -C "$directory/tmp/velt_fdw" <&3
        status=0
        chroot "$directory" /usr/bin/env -i HOME=/root TERM=dumb \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            /bin/sh -c "cd /tmp/velt_fdw && $3" </dev/null || status=$?
        cp -r "$directory"/tmp/velt_fdw-logs.* "$logs" 2>/dev/null || :
        exit "$status"' matrix "$1" "$scratch" "$2" 3< <(pack_sources)
}

# make_chroot VERSION DIRECTORY: it has its name when it is complete
make_chroot() {
    local suite=${suites_of[$1]} new=$2.new script

    script=/usr/share/debootstrap/scripts/$suite
    [[ -e $script ]] || script=${script%/*}/${scripts_of[$suite]:-sid}
    say "making a chroot of $suite for PostgreSQL $1"
    rm -rf --one-file-system "$new"
    if ! { in_namespaces debootstrap --variant=minbase \
        --cache-dir="$cache/packages" "$suite" "$new" "$mirror" "$script" &&
        set_sources "$1" "$new" &&
        in_chroot "$new" "PG_CONFIG=$(pg_config_of "$1") \
            test/run packages" && add_older "$1" "$new"; } \
        &>"$scratch/log"; then
        tail -n 30 "$scratch/log" >&2
        return 1
    fi
    rm -f "$new"/var/cache/apt/archives/*.deb
    mv "$new" "$2"
}

# Release files of suites in the making may be older than they should.
set_sources() {
    local apt=$2/etc/apt

    cp -L /etc/resolv.conf "$2/etc/resolv.conf"
    echo 'Acquire::Check-Valid-Until "false";' >"$apt/apt.conf.d/90velt_fdw"
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

pg_config_of() {
    echo "/usr/lib/postgresql/$1/bin/pg_config"
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
    note "$1" $(versions_in "$directory" "$pg_config") \
        "$(outcome "$log" "$status")" "$started"
    note_upgrade "$1" "${old:-$1}" "$log"
    return "$status"
}

# note_upgrade VERSION OLD LOG: a line of its own, as it counts among the tests
note_upgrade() {
    awk -v debian="${suites_of[$1]}" -v versions="$2 to $1" \
        '$3 ~ /_pg_upgrade$/ {
            printf "%-9s %-10s %-24s %-36s %8s\n", debian, versions, "",
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
    printf '%-9s %-10s %-8s %-7s %-7s %-36s %8s\n' "${suites_of[$1]}" \
        "${@:2:5}" "$(seconds $(($(now_ms) - $7)))" >>"$scratch/table"
}

print_table() {
    local kept

    if compgen -G "$scratch/velt_fdw-logs.*" >/dev/null; then
        kept=$(mktemp -d)
        cp -r "$scratch"/velt_fdw-logs.* "$kept"
        echo "logs: $kept"
    fi
    printf '%-9s %-10s %-8s %-7s %-7s %-36s %8s\n' Debian PostgreSQL libcurl \
        json-c gcc outcome time
    cat "$scratch/table"
}
