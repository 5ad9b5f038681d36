# shellcheck shell=bash disable=SC1091,SC2034,SC2154 # others' variables
#
#> machines [MACHINE|STEP...]
#>                          as root: demo, check and README.md's ways to install
#>                          on machines as users have them, each in a chroot
#
# Each step finds its machine as it was made, so that no step profits
# from the packages that another one has installed.

source "$lib/verb-check.sh"
source "$lib/chroot.sh"

# "ci" takes longest.
chroot_timeout_s=3600

verb_stays=yes

machines=(headless versions libpq)
declare -A suite_of=([headless]=bookworm [versions]=trixie [libpq]=bookworm)
declare -A packages_of=(
    # Of PostgreSQL, but for the server's headers.
    [headless]='postgresql-15 libpq-dev gcc python3'
    # Of two PostgreSQLs, the first in the path lacks headers.
    [versions]='postgresql-15 postgresql-server-dev-15 postgresql-17'
    # pg_config, and nothing that it speaks of.
    [libpq]='libpq-dev'
)

# Other suites that packages come from.
declare -A also_of=([versions]=bookworm)

# Each step's commands, run as root or, after "user:", as a user with sudo.
steps=(demo advice check install package)
# shellcheck disable=SC2016 # the other shell's
declare -A commands_of=(
    [demo]='test/run demo'
    # Without root, test/run names all that is missing.
    [advice]='user: sh -exc "if test/run demo 2>advice; then exit 1; fi; cat advice
        sudo sh -exc \"\$(grep apt-get advice)\"; test/run demo"'
    [check]='test/run check'
    [ci]='.ci/run'
    [install]='user: test/lib/follow-readme.sh 1'
    [package]='user: test/lib/follow-readme.sh 2'
)

verb_needs() {
    need_chroots
}

verb_main() {
    local machine step

    ((EUID == 0)) || die 'machines needs root, for chroots'
    choose "$@"
    open_cache
    for machine in "${machines[@]}"; do
        make_machine "$machine" || continue
        for step in "${steps[@]}"; do
            try_step "$machine" "$step"
        done
    done
    keep_chroot_logs
    cat "$scratch/table"
    echo "$total_passed passed, $total_failed failed"
    ((total_failed == 0))
}

# choose [MACHINE|STEP...]: of each kind all, if none is named
choose() {
    local word chosen=() wanted=()

    for word; do
        if [[ -v suite_of[$word] ]]; then
            chosen+=("$word")
        elif [[ -v commands_of[$word] ]]; then
            wanted+=("$word")
        else
            die "there is neither a machine nor a step \"$word\", but:" \
                "${machines[*]}, ${!commands_of[*]}"
        fi
    done
    ((${#chosen[@]} == 0)) || machines=("${chosen[@]}")
    ((${#wanted[@]} == 0)) || steps=("${wanted[@]}")
}

# Sets directory; the machine is in it when it is complete.
make_machine() {
    local started

    directory=$cache/machine-$1
    [[ ! -d $directory ]] || return 0
    say "making the machine \"$1\": ${suite_of[$1]} with ${packages_of[$1]}"
    started=$(now_ms)
    if ! { bootstrap "${suite_of[$1]}" "$directory.new" &&
        furnish "$1" "$directory.new"; } &>"$scratch/log"; then
        tail -n 30 "$scratch/log" >&2
        record "$1" 'the machine could not be made' 0 1 "$started"
        return 1
    fi
    mv "$directory.new" "$directory"
}

# furnish MACHINE DIRECTORY
furnish() {
    local suite

    for suite in ${also_of[$1]:-}; do
        echo "deb $mirror $suite main" >"$2/etc/apt/sources.list.d/$suite.list"
    done
    echo 'APT::Get::Assume-Yes "true";' >"$2/etc/apt/apt.conf.d/91velt_fdw"
    # As in a container, no server starts because it was installed.
    printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
    chmod 755 "$2/usr/sbin/policy-rc.d"
    in_chroot "$2" "export DEBIAN_FRONTEND=noninteractive
        apt-get update &&
        apt-get install --no-install-recommends sudo ${packages_of[$1]} &&
        useradd --create-home user &&
        echo 'user ALL = (ALL) NOPASSWD: ALL' >/etc/sudoers.d/user"
}

# try_step MACHINE STEP
try_step() {
    local command=${commands_of[$2]} log=$scratch/$1-$2
    local started status=0

    say "$1: $2"
    started=$(now_ms)
    if [[ $command == user:* ]]; then
        command="chown -R user . &&
            exec setpriv --reuid user --regid user --init-groups \
                env HOME=/home/user ${command#user: }"
    fi
    in_chroot "$directory" "$command" unchanged \
        > >(tee "$log") 2>&1 || status=$?
    record "$1" "$2$(counted "$log")" $((status == 0)) $((status != 0)) \
        "$started"
}

# Prints the step's own count of tests.
counted() {
    sed -n 's/^[0-9]* passed, [0-9]* failed$/: &/p' "$1" | tail -n 1
}

# record MACHINE WHAT PASSED FAILED STARTED
record() {
    result "$1" "$2" "$3" "$4" $(($(now_ms) - $5)) >>"$scratch/table"
}
