# shellcheck shell=bash disable=SC1091,SC2154 # others' parts
#
#> package                  make the archive for PGXN, of it the Debian package;
#>                          look into both, and use the package

package_timeout_s=900

verb_needs() {
    need_build
    need_server
    need_packaging
}

verb_main() {
    source "$lib/verb-check.sh"
    unpacked=$workplace/package/velt_fdw
    mkdir "$workplace/package"
    # Each builds on those before.
    package_step 'META.json is valid, versions agree' meta_problems &&
        package_step 'make dist' make_dist &&
        package_step 'Debian packages; SQL tests' build_debian &&
        package_step 'what is in the one to install' contents_problems &&
        package_step 'lintian on both' run_lintian &&
        package_step 'it loads, beside a simulated API' use_package
    ((total_failed == 0)) || keep_logs
    echo "$total_passed passed, $total_failed failed"
    ((total_failed == 0))
}

# package_step NAME FUNCTION: failed by its status; the log's end says why
package_step() {
    local log=$workplace/log/$2.log started status=0

    started=$(now_ms)
    "$2" &>"$log" || status=$?
    if ((status == 0)); then
        result package "$1" 1 0 $(($(now_ms) - started))
    else
        result package "$1" 0 1 $(($(now_ms) - started))
        tail -n 40 "$log" | detail
        return 1
    fi
}

meta_problems() {
    ! "${PYTHON:-python3}" test/package/meta.py 2>&1 | grep .
}

# It has what is committed, so it is committed here; what git leaves out of
# the archive is missed by the steps to come, which work on that.
make_dist() {
    local archive

    git init -q &&
        git add -A &&
        git -c user.name=test -c user.email=test@localhost \
            commit -q -m 'What is to be published' &&
        make -s dist || return 1
    archive=$(echo velt_fdw-*.*.*.zip)
    [[ -f $archive ]] || return 1
    unzip -q -d "$workplace/package" "$archive" &&
        mv "$workplace/package/${archive%.zip}" "$unpacked" &&
        # PGXN wants it at the top.
        cmp META.json "$unpacked/META.json"
}

# As a user without privileges, source and binary.  What Debian calls the
# original is what is published, but for debian/.  The list of packages is of
# the versions of PostgreSQL that this system supports.
build_debian() {
    local log=$workplace/log/dpkg-buildpackage.log version

    version=$(dpkg-parsechangelog --show-field Version \
        --file "$unpacked/debian/changelog")
    tar -c -z --exclude=./debian --transform "s,^\.,velt-fdw-${version%-*}," \
        -f "$workplace/package/velt-fdw_${version%-*}.orig.tar.gz" \
        -C "$unpacked" . || return 1
    if ! (cd "$unpacked" && pg_buildext updatecontrol) ||
        ! job "$package_timeout_s" env -C "$unpacked" USER="$(id -un)" \
            dpkg-buildpackage --build=full --unsigned-source \
            --unsigned-changes &>"$log"; then
        cat "$log"
        return 1
    fi
    # It is no package of ours if the tests were left out.
    grep -E '^[# ]*All [0-9]+ tests passed' "$log"
}

package_file() {
    local file

    for file in "$workplace"/package/postgresql-*-velt-fdw_*.deb; do
        echo "$file"
    done
}

# Every file is one of the list, and the list is complete.
contents_problems() {
    local file line pattern patterns contents problems=0

    file=$(package_file)
    mapfile -t patterns < <(grep -v '^#' test/package/contents)
    contents=$(dpkg-deb --contents "$file" |
        awk '$1 !~ /^d/ { print $2 == "root/root" ? $1 : $2, $NF }')
    echo "$contents"
    while read -r line; do
        matches "$line" "${patterns[@]}" ||
            { echo "not in the list: $line"; problems=1; }
    done <<<"$contents"
    for pattern in "${patterns[@]}"; do
        grep -qxE -e "$pattern" <<<"$contents" ||
            { echo "missing: $pattern"; problems=1; }
    done
    dpkg-deb --field "$file" Depends
    for pattern in postgresql-[0-9]+ libcurl4 libjson-c[0-9]+ zlib1g libc6; do
        dpkg-deb --field "$file" Depends | grep -qE "(^|, )$pattern" ||
            { echo "does not depend on: $pattern"; problems=1; }
    done
    return "$problems"
}

# matches LINE PATTERN...
matches() {
    local line=$1 pattern

    shift
    for pattern in "$@"; do
        [[ ! $line =~ ^$pattern$ ]] || return 0
    done
    return 1
}

run_lintian() {
    job "$package_timeout_s" lintian --fail-on error,warning \
        "$workplace"/package/velt-fdw_*.changes
}

# Where nothing else is: what the package lacks is missing.  A server of its
# own looks for extensions there, so the system stays as it is; from 18 on as
# docs/reference.md says.
use_package() {
    local file version major settings=()

    file=$(package_file)
    [[ ${file##*/} =~ ^postgresql-([0-9]+)- ]] || return 1
    major=${BASH_REMATCH[1]}
    # shellcheck disable=SC2034 # for start_server
    PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
    if ((major >= 18)); then
        documented_settings "$major" || return 1
    fi
    dpkg-deb --extract "$file" "$workplace/install" &&
        start_server || return 1
    version=$(with_simulator psql -X -At -v ON_ERROR_STOP=1 \
        "${settings[@]}" -f test/demo/connect.sql \
        -c 'SELECT count(*) FROM velt.auth_tokens' \
        -c 'SELECT velt_fdw_version()') || return 1
    echo "$version"
    [[ $version == *$'\n'50$'\n'velt_fdw* ]]
}

# documented_settings MAJOR: fills $settings with what psql is to set, in place
# of the server's own.
documented_settings() {
    local name line

    for name in extension_control_path dynamic_library_path; do
        line=$(grep "^$name = " docs/reference.md) || return 1
        [[ $line == */opt/velt/*/18* ]] || return 1
        line=${line/\/opt\/velt/$workplace/install}
        settings+=(-c "SET ${line/\/18/\/$1}")
    done
}
