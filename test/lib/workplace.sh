# shellcheck shell=bash disable=SC2034,SC2154 # others' variables
#
# Where a run works: a copy of the tree in a temporary directory, whose owner
# is an ordinary user.  Here too is what ends with the run: the programs it
# starts, and the directory.
#
#   $workplace/tree   the copy         $workplace/tmp   TMPDIR
#   $workplace/log    what programs said

# What the second half keeps of the environment.  Locales, PGHOST and the like
# are none of its business.
kept_variables=(PATH TMPDIR TERM COLORTERM PAGER PSQL_PAGER EDITOR CC PYTHON
    PG_CONFIG OLD_PG_CONFIG VELT_BENCH_SECONDS VELT_BENCH_PEER_SECONDS
    VELT_TEST_FULL VELT_TEST_SEED VELT_TEST_QUERIES VELT_TEST_QUERY VELT_TEST_ROW
    VELT_TEST_ROWS VELT_TEST_DOCUMENTS)

# How long a program may take to end before it is killed
end_timeout_s=10

# ----------
# First half: become an ordinary user, hand over the sources
# ----------

# Root's path may lead into root's home, where nobody else may go.  Others'
# often lacks the directory of nginx.
settle_path() {
    if ((EUID == 0)); then
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    else
        PATH=$PATH:/usr/sbin:/sbin
    fi
    export PATH
}

# enter_workplace VERB ARGUMENT...: goes on in the copy; does not return
#
# The user may not see the sources, maybe in root's home: they come through a
# pipe.  The directory is made on its other end, where it will be removed: so
# no signal finds a directory without an owner.
enter_workplace() {
    local as_user=() user name environment=(LC_ALL=C.UTF-8)

    if ((EUID == 0)); then
        user=$(ordinary_user)
        as_user=(setpriv --reuid "$user" --regid "$(id -g "$user")"
            --init-groups)
    fi
    for name in "${kept_variables[@]}"; do
        [[ ! -v $name ]] || environment+=("$name=${!name}")
    done
    cd /
    exec "${as_user[@]}" env -i "${environment[@]}" "$BASH" -c \
        "$(declare -f settle exit_on_signals)
        settle
        source test/run \"\$@\"" velt_fdw "$@" 3< <(pack_sources)
}

# PostgreSQL's programs refuse root; its packages bring a user.
ordinary_user() {
    if id postgres &>/dev/null; then
        echo postgres
    else
        echo nobody
    fi
}

# What was built from the sources stays behind.
pack_sources() {
    cd "$root"
    # A git hook's are of another place.
    unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
    list_sources | tar --null --no-recursion -T - -c
}

# File names that end in NUL.  Without git, or outside its reach, all but
# what a build leaves.
list_sources() {
    local git=(git -c safe.directory='*') name

    if [[ -e .git ]] && "${git[@]}" rev-parse &>/dev/null; then
        "${git[@]}" ls-files -z --cached --others --exclude-standard \
            2>/dev/null |
            while IFS= read -r -d '' name; do
                # Deleted, but not for git yet?
                [[ ! -e $name ]] || printf '%s\0' "$name"
            done
    else
        find . -name .git -prune -o ! -type d \
            ! -name '*.o' ! -name '*.so' ! -name '*.bc' -print0
    fi
}

# The second half's beginning.  Apart from exit_on_signals it has nothing but
# itself until the sources are there.
settle() {
    # A socket's path, of 107 characters at most, is to fit below.
    local longest=50 parent=${TMPDIR:-/tmp}

    set -euo pipefail
    workplace=
    trap '[[ -z $workplace ]] || rm -rf "$workplace"' EXIT
    exit_on_signals
    [[ ${#parent} -le $longest && -w $parent && -x $parent ]] || parent=/tmp
    workplace=$(mktemp -d "$parent/velt_fdw.XXXXXXXX")
    mkdir "$workplace"/{tree,tmp,log}
    export HOME=$workplace/tmp TMPDIR=$workplace/tmp
    cd "$workplace/tree" || exit
    tar -x <&3
    exec 3<&-
}

exit_on_signals() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# ----------
# Second half: work there, leave nothing
# ----------

# The janitor ends what a run started and removes its directory as soon as
# the pipe that it reads is closed: at the end of the run, however that comes.
open_workplace() {
    set -m  # in a process group of its own, which no Ctrl-C reaches
    coproc coprocess { janitor; }
    set +m
    # Kept, as bash forgets its own variables when the coprocess ends.
    janitor_pid=$coprocess_PID
    janitor_pipe=${coprocess[1]}
    trap close_workplace EXIT
    exit_on_signals
}

close_workplace() {
    trap '' HUP INT TERM
    exec {janitor_pipe}>&-
    wait "$janitor_pid" || true
}

# Reads what is at work, all of it on a line, as kill has it: process ids, and
# those of groups with a minus.
janitor() {
    local line last=

    trap '' HUP INT TERM
    trap - EXIT
    while read -r line; do
        last=$line
    done
    # shellcheck disable=SC2086 # its words
    [[ -z $last ]] || end TERM $last
    end_servers
    # A test may have left a directory that nobody may enter.
    rm -rf "$workplace" 2>/dev/null ||
        { chmod -R u+rwX "$workplace" && rm -rf "$workplace"; }
}

# end SIGNAL PROCESS...: as kill has them; waits for the end
end() {
    local signal=$1 i

    shift
    kill -s "$signal" -- "$@" 2>/dev/null || return 0
    for ((i = 0; i < end_timeout_s * 50; i++)); do
        runs "$@" || return 0
        sleep 0.02
    done
    kill -s KILL -- "$@" 2>/dev/null || true
}

# runs PROCESS...: whether any of them, or of a group, still does.  kill -0
# would also count the dead that nobody has buried: in a container there may
# be no undertaker.
runs() {
    local file stat pid state group

    for file in /proc/[0-9]*/stat; do
        read -r stat 2>/dev/null <"$file" || continue
        # 12 (name) S parent group ...; a name may have blanks and brackets
        pid=${stat%% *}
        read -r state _ group _ <<<"${stat##*) }"
        if [[ $state != [ZX] && " $* " == *" "@("$pid"|"-$group")" "* ]]; then
            return 0
        fi
    done
    return 1
}

# Servers leave the process group of what starts them, but not the workplace.
end_servers() {
    local file pid

    find "$workplace" -name postmaster.pid 2>/dev/null |
        while read -r file; do
            read -r pid <"$file" || continue
            # The number may have gone to another process by now.
            if [[ /proc/$pid/cwd -ef ${file%/*} ]]; then
                end QUIT "$pid"
            fi
        done
}

# What was started and not waited for yet: by its process id, as kill has it.
declare -A at_work=()

# job SECONDS PROGRAM ARGUMENT...: in a process group of its own, so that it
# can be ended with all its children; its time is limited
job() {
    start_job "$@"
    await "$job_pid"
}

# start_job SECONDS PROGRAM ARGUMENT...: a job, and does not wait for it; sets
# job_pid
start_job() {
    set -m
    timeout --kill-after=5 "$@" </dev/null &
    set +m
    job_pid=$!
    at_work[$job_pid]=-$job_pid
    tell_janitor
}

# attended PROGRAM ARGUMENT...: at the terminal, if there is one
attended() {
    "$@" <&0 &
    at_work[$!]=$!
    tell_janitor
    await "$!"
}

# In the background and waited for, since bash puts off its traps until a
# program in the foreground has ended.
await() {
    local status=0

    while :; do
        status=0
        wait "$1" || status=$?
        # A signal that is only taken notice of ends the wait, too.
        kill -0 "$1" 2>/dev/null || break
    done
    forget "$1"
    return "$status"
}

# The first to end of those at work: sets job_pid and job_status.
await_any() {
    while :; do
        job_status=0
        # "wait -n" does not know those any more that a signal has ended.
        for job_pid in "${!at_work[@]}"; do
            kill -0 "$job_pid" 2>/dev/null && continue
            wait "$job_pid" || job_status=$?
            break 2
        done
        wait -n -p job_pid "${!at_work[@]}" || job_status=$?
        [[ -z ${job_pid:-} ]] || break
    done
    forget "$job_pid"
}

forget() {
    unset "at_work[$1]"
    tell_janitor
}

tell_janitor() {
    echo "${at_work[*]}" >&"$janitor_pipe"
}
