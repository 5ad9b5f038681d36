#!/bin/sh
#
# follow-readme.sh N: runs the N-th block of README.md's section Install, word
# for word, and tests the installation.  The caller is a user with sudo.  The
# machine is changed for good.

set -eu

block=$(awk -v wanted="$1" '
    /^## / { inside = ($0 == "## Install") }
    /^```/ { copies = 0 }
    copies
    inside && /^```sh/ { copies = (++n == wanted) }' README.md)
[ -n "$block" ]

sudo apt-get -q update
set -x
sh -e -x -c "$block"

# A block that builds a package does not install it.
version=15
for package in ../postgresql-*-velt-fdw_*.deb; do
    [ -e "$package" ] || continue
    sudo apt-get install "$package"
    version=${package#../postgresql-}
    version=${version%%-*}
done

# A machine that builds may have no server yet, and Debian makes no cluster for
# a second version.
sudo apt-get install "postgresql-$version"
[ -d "/etc/postgresql/$version/main" ] ||
    sudo pg_createcluster "$version" main
sudo pg_ctlcluster "$version" main start
PGPORT=$(pg_lsclusters --no-header |
    awk -v version="$version" '$1 == version { print $3 }')
export PGPORT
sudo -u postgres createuser --port "$PGPORT" --superuser "$(id -un)"
psql -X -v ON_ERROR_STOP=1 -d postgres -c 'CREATE EXTENSION velt_fdw' \
    -c 'SELECT velt_fdw_version()' -c 'DROP EXTENSION velt_fdw'
make PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" installcheck ||
    { cat regression.diffs; exit 1; }
