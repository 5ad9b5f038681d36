# shellcheck shell=bash disable=SC2154 # others' variables
#
#> help                     this text

verb_main() {
    echo 'usage: test/run VERB [ARGUMENT...]'
    echo
    sed -n 's/^#> \{0,1\}/  /p' "$lib"/verb-*.sh
    cat <<'END'

Each sets itself up in a temporary directory and leaves nothing behind.  As
root on Debian, from 12 on, what is missing is installed first, from Debian's
packages alone; otherwise it is named.  PG_CONFIG chooses another PostgreSQL.
END
}
