# shellcheck shell=bash disable=SC2154 # others' variables
#
# Chroots of Debian's suites, for the verbs matrix and machines.
#
# A chroot is made once and kept, with its packages, in VELT_MATRIX_CACHE
# (default ${XDG_CACHE_HOME:-/var/cache}/velt_fdw-matrix): remove it, to have a
# newer one.  Tests run in memory.
#
# Everything that is mounted is so in a mount namespace, and every process in
# a process namespace, that end with the program which this one waits for.

# The names that newer suites go by in debootstrap.
declare -A scripts_of=([forky]=sid)

chroot_timeout_s=1800

need_chroots() {
    need debootstrap 'to make a Debian in a directory' command -v debootstrap
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
    mkdir "$scratch/layers"
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

# in_chroot DIRECTORY COMMAND [UNCHANGED]: runs it in a copy of the tree, as a
# system would that has just been installed, with 64 MB of shared memory as in
# containers.  A failed test's logs go to $scratch.  With a third argument, what
# the command changes is kept in memory and lost at its end.
in_chroot() {
    # shellcheck disable=SC2016 # the other bash's
    in_namespaces timeout --kill-after=5 "$chroot_timeout_s" "$BASH" -c '
        set -e
        directory=$1 logs=$2 packages=$4
        if [[ -n $5 ]]; then
            mount -t tmpfs tmpfs "$logs/layers"
            mkdir "$logs"/layers/{upper,work,merged}
            mount -t overlay -o "lowerdir=$directory" \
                -o "upperdir=$logs/layers/upper,workdir=$logs/layers/work" \
                overlay "$logs/layers/merged"
            directory=$logs/layers/merged
        fi
        mount --bind "$packages" "$directory/var/cache/apt/archives"
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
        exit "$status"' chroot "$1" "$scratch" "$2" \
        "$cache/packages" "${3:-}" 3< <(pack_sources)
}

# bootstrap SUITE DIRECTORY: Debian's least, with this system's way to the
# network.  Release files of suites in the making may be older than they should.
bootstrap() {
    local script=/usr/share/debootstrap/scripts/$1

    [[ -e $script ]] || script=${script%/*}/${scripts_of[$1]:-sid}
    rm -rf --one-file-system "$2"
    in_namespaces debootstrap --variant=minbase \
        --cache-dir="$cache/packages" "$1" "$2" "$mirror" "$script" || return
    cp -L /etc/resolv.conf "$2/etc/resolv.conf"
    echo 'Acquire::Check-Valid-Until "false";' \
        >"$2/etc/apt/apt.conf.d/90velt_fdw"
}

# Failed tests' logs, where they outlive this run.
keep_chroot_logs() {
    local kept

    if compgen -G "$scratch/velt_fdw-logs.*" >/dev/null; then
        kept=$(mktemp -d)
        cp -r "$scratch"/velt_fdw-logs.* "$kept"
        echo "logs: $kept"
    fi
}
