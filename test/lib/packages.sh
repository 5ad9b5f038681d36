# shellcheck shell=bash disable=SC2154 # others' variables
#
# What a run cannot do without, and how it gets there.
#
# A need is tested by use, not by its package or a file: a compiler compiles,
# and headers are compiled.  So a run works with any PostgreSQL, on any system,
# where the parts are there.  They are installed on Debian only, from 12 on; the
# table has Debian's names.

# velt_fdw's least versions
least_postgres=15
least_curl=7.87
postgres_wanted="PostgreSQL 18 or later, or Debian's $least_postgres to 17"

# Those that Debian has pg_cron for
cron_postgres='15 17 18'

# Where Debian has its PostgreSQLs
debian_postgres='^/usr/lib/postgresql/([0-9]+)/bin'

# Filled by find_missing: a package, what it is for, how its test failed.
missing=()
missing_purpose=()
missing_reason=()

# The caller's, as find_postgres sets PG_CONFIG.
chosen_pg_config=${PG_CONFIG:-}

# Set by find_postgres: the candidates that come before PG_CONFIG, and why each
# cannot be used.
passed_over=()

# need PACKAGE PURPOSE TEST...: it is missing if the test fails
need() {
    local package=$1 purpose=$2 reason

    shift 2
    if ! reason=$("$@" 2>&1); then
        missing+=("$package")
        missing_purpose+=("$purpose")
        reason=$(gist "$reason")
        missing_reason+=("${reason#*/packages.sh: line *: }")
    fi
}

# Prints the line of a program's output that says best why it failed.
gist() {
    grep -i -m 1 'error' <<<"$1" || head -n 1 <<<"$1"
}

need_build() {
    need gcc 'C compiler' compiles <<<'int x;'
    need libc6-dev "C library's headers" links stdio.h 'puts("")'
    need make 'GNU make' has_gnu_make
    need pkgconf 'pkg-config' pkg-config --version
    need libcurl4-openssl-dev "libcurl $least_curl or later, with headers" \
        has_library "libcurl >= $least_curl" curl/curl.h \
        'curl_easy_cleanup(NULL)'
    need libjson-c-dev 'json-c, with headers' \
        has_library json-c json-c/json.h 'json_object_put(NULL)'
    need zlib1g-dev 'zlib, with headers' \
        has_library zlib zlib.h 'zlibVersion()'
}

need_server() {
    local pg_config

    find_python ||
        need python3 'Python 3.9 or later, for the simulator' runs_simulator \
            python3
    find_postgres && return
    pg_config=/usr/lib/postgresql/$default_postgres/bin/pg_config
    need "postgresql-$default_postgres" "$postgres_wanted" \
        has_server "$pg_config"
    need "postgresql-server-dev-$default_postgres" \
        'of the same version: headers, and rules to build extensions' \
        builds_extensions "$pg_config"
}

need_tests() {
    need libipc-run-perl "Perl's IPC::Run, for TAP tests" \
        perl -MIPC::Run -MTest::More -MJSON::PP -MHTTP::Tiny -e1
    need "postgresql-client-$default_postgres" \
        'pg_regress and the modules PostgreSQL::Test' has_test_programs
    need valgrind 'to count instructions' valgrind --quiet --tool=none true
    need openssl 'to make certificates' openssl version
    need ca-certificates "the system's authorities, which TLS asks for" \
        test -s /etc/ssl/certs/ca-certificates.crt
    need nginx 'for TLS and HTTP/2 in front of the simulator' has_nginx
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

# compiles OPTION...: the C on standard input
compiles() {
    gcc "$@" -x c -S -o /dev/null -
}

# links HEADER EXPRESSION [OPTION...]: a program of these
links() {
    local header=$1 expression=$2

    shift 2
    gcc -x c -o /dev/null - "$@" <<END
#include <$header>
int main(void) { $expression; return 0; }
END
}

has_gnu_make() {
    [[ $(make --version) == GNU* ]]
}

# has_library PKG-CONFIG'S-NAME HEADER EXPRESSION: links a program with it, if
# there is a compiler
has_library() {
    local flags

    flags=$(pkg-config --print-errors --cflags --libs "$1") || {
        echo "$flags"
        return 1
    }
    # shellcheck disable=SC2086 # its words
    ! links stdio.h 'puts("")' &>/dev/null || links "$2" "$3" $flags
}

has_nginx() {
    [[ $(nginx -V 2>&1) == *http_ssl_module*http_v2_module* ]]
}

# ----------
# Python
# ----------

# Sets PYTHON to the caller's choice, or else to the first that will do of the
# one in the path and the system's.
find_python() {
    local candidate reason

    for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
        if reason=$(runs_simulator "$candidate"); then
            PYTHON=$candidate
            return
        fi
        [[ -z ${PYTHON:-} ]] || die "PYTHON=$PYTHON cannot be used: $reason"
    done
    return 1
}

# runs_simulator PYTHON: prints why it does not
runs_simulator() {
    local said

    said=$("$1" -c 'import sys; sys.exit(sys.version_info < (3, 9) and
        "it is Python %d.%d, not 3.9 or later" % sys.version_info[:2])' 2>&1) &&
        said=$("$1" -B "$root/test/simulator/simulator.py" serve --help 2>&1) && return
    echo "${said##*$'\n'}"
    return 1
}

# ----------
# PostgreSQL
# ----------

# Sets PG_CONFIG to that of a PostgreSQL we can build for and start: the
# caller's choice, or the first in the path, or the latest of Debian's.  Sets
# default_postgres to its version, or to the version to install.
find_postgres() {
    local candidate candidates=(pg_config) reason

    passed_over=()
    PG_CONFIG=$chosen_pg_config
    if [[ -n $PG_CONFIG ]]; then
        candidates=("$PG_CONFIG")
    else
        mapfile -t -O 1 candidates < <(list_postgres)
    fi
    for candidate in "${candidates[@]}"; do
        if reason=$(usable_postgres "$candidate"); then
            # the second half is in another directory
            PG_CONFIG=$(realpath -s "$(command -v "$candidate")")
            default_postgres=$(postgres_major "$PG_CONFIG")
            return
        fi
        # Debian's pg_config runs that of the latest version.
        [[ ${passed_over[*]} == *"$reason"* ]] ||
            passed_over+=("$candidate: $reason")
    done
    choose_postgres "$reason"
    return 1
}

# Debian's, the latest first.
list_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/pg_config' |
        sort --version-sort --reverse
}

# Sets default_postgres to the version to install: the caller's choice, or the
# latest whose server is installed already, or this Debian's.  A suite in the
# making may change its mind: apt knows.  If there is no package for the
# caller's choice, says why that cannot be used.
choose_postgres() {
    local VERSION_CODENAME='' bindir candidate

    if [[ -n ${PG_CONFIG:-} ]]; then
        bindir=$("$PG_CONFIG" --bindir 2>/dev/null) || bindir=$PG_CONFIG
        # it may be there once its packages are
        [[ $bindir =~ $debian_postgres &&
            ${BASH_REMATCH[1]} -ge $least_postgres ]] ||
            die "PG_CONFIG=$PG_CONFIG cannot be used: $1"
        default_postgres=${BASH_REMATCH[1]}
        return
    fi
    while read -r candidate; do
        [[ $candidate =~ $debian_postgres ]]
        default_postgres=${BASH_REMATCH[1]}
        if is_recent "$candidate" && has_server "$candidate" &&
            apt-cache show "postgresql-server-dev-$default_postgres"; then
            return
        fi
    done < <(list_postgres) &>/dev/null
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

# usable_postgres PG_CONFIG: prints why it is not
usable_postgres() {
    is_recent "$1" && has_server "$1" && builds_extensions "$1"
}

is_recent() {
    local major

    major=$(postgres_major "$1")
    if ((major == 0)); then
        echo 'there is none that works'
    elif ((major < least_postgres)); then
        echo "PostgreSQL $major is older than $least_postgres"
    else
        return 0
    fi
    return 1
}

# The server must find an extension outside its own directories.  PostgreSQL
# does so from 18 on, and Debian's PostgreSQL in earlier versions, too.
has_server() {
    local server major

    server=$("$1" --bindir 2>/dev/null)/postgres || return
    major=$(postgres_major "$1")
    if ! "$server" --version &>/dev/null; then
        echo "PostgreSQL $major has no server, as $server would be"
    elif ((major < 18)) && ! grep -q extension_destdir "$server"; then
        echo "PostgreSQL $major finds no extension outside its own directories"
    else
        return 0
    fi
    return 1
}

# builds_extensions PG_CONFIG: prints why it does not.  Without a compiler, it
# is enough that the files are there.
builds_extensions() {
    local pgxs headers major said

    pgxs=$("$1" --pgxs 2>/dev/null) || return
    headers=$("$1" --includedir-server) || return
    major=$(postgres_major "$1")
    if [[ ! -f $pgxs ]]; then
        echo "PostgreSQL $major has no rules to build extensions, as $pgxs would be"
    elif [[ ! -f $headers/postgres.h ]]; then
        echo "PostgreSQL $major has no server headers in $headers"
    elif links stdio.h 'puts("")' && has_gnu_make &&
        ! said=$(compiles_extension "$1" 2>&1); then
        echo "PostgreSQL $major cannot be built for: $(gist "$said")"
    else
        return 0
    fi 2>/dev/null
    return 1
}

compiles_extension() {
    make -s -f - probe <<END
PG_CONFIG = $1
PGXS := \$(shell \$(PG_CONFIG) --pgxs)
include \$(PGXS)
probe:
	echo '#include "postgres.h"' | \$(CC) \$(CPPFLAGS) -fsyntax-only -x c -
END
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
    [[ ! -x ${PG_CONFIG:-} ]] ||
        [[ -x $(pgxs_tests)/regress/pg_regress &&
            -f $(pgxs_tests)/perl/PostgreSQL/Test/Cluster.pm ]]
}

# With a PostgreSQL that has none, its test is skipped.
has_cron() {
    local directory=/usr/lib/postgresql/$default_postgres/lib

    # PostgreSQL may not be there yet.
    [[ ! -x ${PG_CONFIG:-} ]] || directory=$("$PG_CONFIG" --pkglibdir)
    [[ " $cron_postgres " != *" $default_postgres "* ||
        $directory != /usr/lib/postgresql/* || -f $directory/pg_cron.so ]]
}

find_missing() {
    missing=()
    missing_purpose=()
    missing_reason=()
    verb_needs "$@"
}

# require_packages ARGUMENT...: of the verb; returns when all is there
require_packages() {
    local asked package

    find_missing "$@"
    # Some tests need a compiler, and show more once it is installed.
    while ((${#missing[@]} > 0)); do
        is_debian || name_packages
        ((EUID == 0)) || ask_for_packages
        asked=" ${missing[*]} "
        install_missing "$@"
        find_missing "$@"
        for package in "${missing[@]}"; do
            [[ $asked != *" $package "* ]] || still_missing
        done
    done
    name_postgres
}

# Says which PostgreSQL is used, and why none of those before it.
name_postgres() {
    local version reason

    [[ -n ${default_postgres:-} ]] || return 0
    for reason in "${passed_over[@]}"; do
        say "not used: $reason"
    done
    version=$("$PG_CONFIG" --version)
    say "using $version, $PG_CONFIG"
}

# From 12 on; one in the making has no number.
is_debian() {
    local ID='' VERSION_ID=''

    [[ -r /etc/os-release ]] || return
    # shellcheck source=/dev/null
    source /etc/os-release
    [[ $ID == debian && ${VERSION_ID:-12} -ge 12 ]]
}

# On standard error: packages, what each is for, and how its test failed.
list_missing() {
    local i

    for i in "${!missing[@]}"; do
        printf '  %-26s %s\n' "${missing[i]}" "${missing_purpose[i]}"
        [[ -z ${missing_reason[i]} ]] ||
            printf '  %-26s (%s)\n' '' "${missing_reason[i]}"
    done >&2
}

name_packages() {
    say "this system is not Debian 12 or later: please install what is missing." \
        "In Debian's names:"
    list_missing
    exit 1
}

ask_for_packages() {
    say 'some packages are missing:'
    list_missing
    say 'run this as root, or test/run itself:'
    printf '  apt-get update && apt-get install -y' >&2
    printf ' --no-install-recommends %s\n' "${missing[*]}" >&2
    exit 1
}

still_missing() {
    say 'still missing after their installation:'
    list_missing
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
