# shellcheck shell=bash disable=SC2154 # others' variables
#
# What takes its time, side by side.
#
# A task is a suite and a name.  Of a suite there are two functions:
#   start_SUITE NAME                       starts a job; its output is the log
#   report_SUITE NAME STATUS MILLISECONDS  says what came of it

# Tests wait most of their time, for a simulator that is slow on purpose or
# for a full minute: so there are several for each processor.
tasks_per_processor=2

# Started first, as they take longest: nothing else is to be waited for in the
# end.
long_tasks=('tap 306_pg_cron' 'regress all' 'tap 109_batch_join'
    'tap 101_retries' 'tap 108_join' 'tap 105_hostile' 'unit client'
    'tap 201_generated_queries' 'tap 401_dump' 'tap 402_pg_upgrade'
    'tap 001_cancel' 'tap 304_several_machines')

tasks=()
declare -A task_of=() started_at=()

add_task() {
    tasks+=("$1 $2")
}

run_tasks() {
    local task slots=$(($(nproc) * tasks_per_processor))

    for task in "${long_tasks[@]}" "${tasks[@]}"; do
        is_waiting "$task" || continue
        ((${#at_work[@]} < slots)) || end_task
        # shellcheck disable=SC2086 # its words
        start_task $task
    done
    while ((${#at_work[@]} > 0)); do
        end_task
    done
}

# Takes the task out of those to be run, if it is among them.
is_waiting() {
    local i

    for i in "${!tasks[@]}"; do
        if [[ ${tasks[i]} == "$1" ]]; then
            unset "tasks[$i]"
            return 0
        fi
    done
    return 1
}

start_task() {
    "start_$1" "$2" &>"$(log_of "$1" "$2")"
    task_of[$job_pid]="$1 $2"
    started_at[$job_pid]=$(now_ms)
}

end_task() {
    local suite name

    await_any
    read -r suite name <<<"${task_of[$job_pid]}"
    "report_$suite" "$name" "$job_status" \
        $(($(now_ms) - started_at[$job_pid]))
}

# log_of SUITE NAME
log_of() {
    echo "$workplace/log/$1-$2.log"
}
