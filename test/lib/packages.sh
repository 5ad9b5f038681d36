# shellcheck shell=bash disable=SC2154 # others' variables
#
# What a run cannot do without, and how it gets there.
#
# A need is tested by what it is good for, not by its package: so a run works
# with any PostgreSQL, on any system, where the parts are there.  They are
# installed on Debian only, from 12 on, whose names the table has.

# velt_fdw's least versions
least_postgres=15
least_curl=7.87
postgres_wanted="PostgreSQL 18 or later, or Debian's $least_postgres to 17"

# Those that Debian has pg_cron for
cron_postgres='15 17 18'

# Where Debian has one
debian_pg_config='^/usr/lib/postgresql/([0-9]+)/bin/pg_config$'

# Filled by find_missing: a package, and what it is for.
missing=()
missing_purpose=()

# need PACKAGE PURPOSE TEST...: it is missing if the test fails
need() {
    local package=$1 purpose=$2

    shift 2
    if ! "$@" &>/dev/null; then
        missing+=("$package")
        missing_purpose+=("$purpose")
    fi
}

need_build() {
    need gcc 'C compiler' command -v gcc
    need libc6-dev "C library's headers" c_headers
    need make 'GNU make' command -v make
    need pkgconf 'pkg-config' command -v pkg-config
    need libcurl4-openssl-dev "libcurl $least_curl or later, with headers" \
        pkg-config --exists "libcurl >= $least_curl"
    need libjson-c-dev 'json-c, with headers' pkg-config --exists json-c
}

need_server() {
    local home

    need python3 'Python 3.9 or later, for the simulator' recent_python
    find_postgres && return
    home=/usr/lib/postgresql/$default_postgres
    need "postgresql-$default_postgres" \
        "$postgres_wanted" \
        test -x "$home/bin/postgres"
    need "postgresql-server-dev-$default_postgres" \
        'of the same version: headers, and rules to build extensions' \
        test -f "$home/lib/pgxs/src/makefiles/pgxs.mk"
}

need_tests() {
    need libipc-run-perl "Perl's IPC::Run, for TAP tests" \
        perl -MIPC::Run -MTest::More -MJSON::PP -MHTTP::Tiny -e1
    need "postgresql-client-$default_postgres" \
        'pg_regress and the modules PostgreSQL::Test' has_test_programs
    need valgrind 'to count instructions' command -v valgrind
    need openssl 'to make certificates' command -v openssl
    need ca-certificates "the system's authorities, which TLS asks for" \
        test -s /etc/ssl/certs/ca-certificates.crt
    need nginx 'for TLS and HTTP/2 in front of the simulator' \
        command -v nginx
    need "postgresql-$default_postgres-cron" \
        'pg_cron, for the reports that it runs' has_cron
}

need_packaging() {
    need build-essential 'what any Debian package is built with' \
        is_installed build-essential
    need debhelper 'to build a Debian package' command -v dh
    need lintian "to check it against Debian's rules" command -v lintian
    need postgresql-server-dev-all "debhelper's part for PostgreSQL" \
        is_installed postgresql-server-dev-all
    need git 'to make the archive that is published' command -v git
    need unzip 'to look into it' command -v unzip
}

# By its name: the build asks for it so, whatever it is good for.
is_installed() {
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1") == installed ]]
}

c_headers() {
    gcc -E -o /dev/null - <<<'#include <stdio.h>'
}

recent_python() {
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 9))'
}

# Sets default_postgres to the version to install where no other will do: the
# one whose pg_config is the caller's choice, or that of this Debian.  A suite
# in the making may change its mind: apt knows.
choose_postgres() {
    local VERSION_CODENAME=''

    if [[ ${PG_CONFIG:-} =~ $debian_pg_config ]]; then
        default_postgres=${BASH_REMATCH[1]}
        return
    fi
    # shellcheck source=/dev/null
    [[ ! -r /etc/os-release ]] || source /etc/os-release
    case $VERSION_CODENAME in
        bookworm) default_postgres=15 ;;
        trixie) default_postgres=17 ;;
        *) default_postgres=$(apt-cache depends postgresql 2>/dev/null |
            sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p') ;;
    esac
    : "${default_postgres:=$least_postgres}"
}

# Sets PG_CONFIG to that of a PostgreSQL we can build for and start: the
# caller's choice, or the first in the path, or the latest of Debian's.
find_postgres() {
    local candidate candidates

    choose_postgres
    if [[ -n ${PG_CONFIG:-} ]]; then
        usable_postgres "$PG_CONFIG" && return
        # it may be there once its packages are
        [[ $PG_CONFIG =~ $debian_pg_config && ! -e $PG_CONFIG &&
            ${BASH_REMATCH[1]} -ge $least_postgres ]] ||
            die "PG_CONFIG=$PG_CONFIG will not do: it takes" \
                "$postgres_wanted, with server and development files"
        return 1
    fi
    mapfile -t candidates < <(compgen -G '/usr/lib/postgresql/*/bin/pg_config' |
        sort --version-sort --reverse)
    for candidate in pg_config "${candidates[@]}"; do
        if usable_postgres "$candidate"; then
            PG_CONFIG=$candidate
            return
        fi
    done
    return 1
}

# Both its server and what extensions are built with; and it must be able to
# find an extension that is not installed beside it, which PostgreSQL can from
# 18 on and Debian's before.
usable_postgres() {
    local major server

    major=$(postgres_major "$1")
    ((major >= least_postgres)) || return
    server=$("$1" --bindir)/postgres
    [[ -x $server && -f $("$1" --pgxs) ]] &&
        { ((major >= 18)) || grep -q extension_destdir "$server"; }
}

# postgres_major PG_CONFIG: 15 of "PostgreSQL 15.4 (Debian ...)"; else 0
postgres_major() {
    local version

    version=$("$1" --version 2>/dev/null) || version=
    [[ $version =~ ^PostgreSQL\ ([0-9]+) ]] || BASH_REMATCH=(0 0)
    echo "${BASH_REMATCH[1]}"
}

# Where PostgreSQL has its test programs and modules.
pgxs_tests() {
    local pgxs

    pgxs=$("$PG_CONFIG" --pgxs)
    echo "${pgxs%/makefiles/pgxs.mk}/test"
}

# Without PostgreSQL, its absence is enough to say.
has_test_programs() {
    [[ -z ${PG_CONFIG:-} ]] ||
        [[ -x $(pgxs_tests)/regress/pg_regress &&
            -f $(pgxs_tests)/perl/PostgreSQL/Test/Cluster.pm ]]
}

# With a PostgreSQL that has none, its test is skipped.
has_cron() {
    local major

    # it may not be there yet
    major=$(postgres_major "${PG_CONFIG:-}")
    ((major > 0)) || major=$default_postgres
    [[ " $cron_postgres " != *" $major "* ]] ||
        [[ -f $("$PG_CONFIG" --pkglibdir)/pg_cron.so ]]
}

find_missing() {
    missing=()
    missing_purpose=()
    verb_needs "$@"
}

# require_packages ARGUMENT...: of the verb; returns when all is there
require_packages() {
    find_missing "$@"
    ((${#missing[@]} > 0)) || return 0
    is_debian || name_packages
    ((EUID == 0)) || ask_for_packages
    install_missing "$@"
    find_missing "$@"
    ((${#missing[@]} == 0)) ||
        die "still missing after their installation: ${missing[*]}"
}

# From 12 on; one in the making has no number.
is_debian() {
    local ID='' VERSION_ID=''

    [[ -r /etc/os-release ]] || return
    # shellcheck source=/dev/null
    source /etc/os-release
    [[ $ID == debian && ${VERSION_ID:-12} -ge 12 ]]
}

name_packages() {
    local i

    {
        say "this system is not Debian 12 or later: please install what is missing." \
            "In Debian's names:"
        for i in "${!missing[@]}"; do
            printf '  %-26s %s\n' "${missing[i]}" "${missing_purpose[i]}"
        done
    } >&2
    exit 1
}

ask_for_packages() {
    {
        say "some packages are missing; run this as root, or test/run itself:"
        printf '  apt-get update && apt-get install -y'
        printf ' --no-install-recommends %s\n' "${missing[*]}"
    } >&2
    exit 1
}

# One run at a time: another may be installing the same.  The lock is on a
# directory that any Debian has, so that no file is left.
install_missing() {
    local lock

    exec {lock}</var/lib/dpkg
    flock --nonblock "$lock" || {
        say 'waiting for another run that is installing packages'
        flock "$lock"
        find_missing "$@"
    }
    ((${#missing[@]} == 0)) || apt_install
    exec {lock}<&-
}

apt_install() {
    local started log apt

    started=$(now_ms)
    say "installing, with what they depend on: ${missing[*]}"
    scratch=$(mktemp -d)
    fetch_pid=
    trap end_installation EXIT
    log=$scratch/log
    stub_services "$scratch/bin"
    # Where apt and dpkg leave theirs if a signal ends them.  Anybody's, as
    # apt checks what it fetched as a user of its own, who would else turn to
    # /tmp.
    mkdir -m 1777 "$scratch/tmp"
    apt_command
    if ! { apt_fetch && apt_unpack; } &>"$log"; then
        tail -n 30 "$log" >&2
        die "could not install ${missing[*]}"
    fi
    end_installation
    trap - EXIT
    exit_on_signals
    say "installed in $(seconds $(($(now_ms) - started)))"
}

end_installation() {
    # A second Ctrl-C is not to end this.
    trap '' HUP INT TERM
    if [[ -n $fetch_pid ]]; then
        end TERM "-$fetch_pid"
        wait "$fetch_pid" || true
    fi
    rm -rf "$scratch"
}

# Maintainer scripts make a cluster and start services by calling these.
# They are to find ones that do nothing, ahead in the path that dpkg is given:
# no file of the system has to be changed, and changed back.
stub_services() {
    local program

    chmod 755 "${1%/*}"
    mkdir "$1"
    for program in pg_createcluster invoke-rc.d deb-systemd-invoke; do
        ln -s /bin/true "$1/$program"
    done
}

apt_command() {
    apt=(env DEBIAN_FRONTEND=noninteractive "TMPDIR=$scratch/tmp"
        apt-get -q -y --no-install-recommends
        -o DPkg::Lock::Timeout=600
        -o Dpkg::Use-Pty=0
        -o "DPkg::Path=$scratch/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        -o Dpkg::Options::=--force-confdef
        -o Dpkg::Options::=--force-confold)
}

# The slow part, in the background so that a signal ends it at once, and in a
# process group of its own: the programs that apt fetches with outlive it by
# a moment, in which they still write.  Without a network, the lists that are
# there may do.
apt_fetch() {
    await_fetch "${apt[@]}" update || true
    await_fetch "${apt[@]}" --download-only install "${missing[@]}"
}

await_fetch() {
    local status=0

    set -m
    "$@" </dev/null &
    fetch_pid=$!
    set +m
    wait "$fetch_pid" || status=$?
    fetch_pid=
    return "$status"
}

# In a session of its own, as no Ctrl-C is to break dpkg amid a package; a
# signal is acted upon afterwards.
apt_unpack() {
    setsid --wait "${apt[@]}" install "${missing[@]}" </dev/null || return
    # Not started now, nginx is not to start with the system either.
    [[ " ${missing[*]} " != *' nginx '* ]] || update-rc.d nginx disable || true
}
