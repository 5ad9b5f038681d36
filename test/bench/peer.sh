#!/bin/bash
#
# What people write without velt_fdw: curl, jq, and psql's \copy into a table.
#
# peer.sh URL first N WORKSPACE TOKEN      so many keys into the table peer_keys
# peer.sh URL keys (WORKSPACE TOKEN)...    all keys, workspaces side by side
# peer.sh URL named N WORKSPACE TOKEN      keys of the table customers, a
#                                          hundred a request, N requests at once
# peer.sh URL tokens-named N WORKSPACE TOKEN        their tokens into peer_tokens
# peer.sh URL tokens N WORKSPACE TOKEN     tokens of all keys
# peer.sh URL join N WORKSPACE TOKEN TYPE  keys of a type, and their tokens
#
# As quick as such a script gets: pages that follow one another take a curl
# each, and that is all; anything else goes through one curl, over kept
# connections, and jq is started once for all that there is.

set -euo pipefail

# patterns are matched bytewise
export LC_ALL=C
url=$1/v2/workspace
what=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ask_keys() {
    curl -sS --fail --noproxy '*' -H 'Content-Type: application/json' \
        -H "x-velt-workspace-id: $1" -H "x-velt-auth-token: $2" \
        -d "{\"data\":$3}" "$url/apikeys/get"
}

# all_keys WORKSPACE TOKEN: the pages
all_keys() {
    local page more=

    while :; do
        page=$(ask_keys "$1" "$2" "{\"pageSize\":100$more}")
        echo "$page"
        [[ $page == *'"nextPageToken":"'* ]] || break
        more=${page##*'"nextPageToken":"'}
        more=",\"pageToken\":\"${more%%\"*}\""
    done
}

# ask_many ENDPOINT N WORKSPACE TOKEN: the answers to what standard input has,
# a line each, N at once
ask_many() {
    mkdir "$work/answers"
    jq -rR --arg url "$url/$1" --arg workspace "$3" --arg token "$4" \
        --arg out "$work/answers" '"next", "silent", "show-error", "fail",
            "noproxy = \"*\"", "url = \($url | tojson)",
            "header = \"Content-Type: application/json\"",
            "header = \("x-velt-workspace-id: " + $workspace | tojson)",
            "header = \("x-velt-auth-token: " + $token | tojson)",
            "data = \("{\"data\":" + . + "}" | tojson)",
            "output = \"\($out)/\(input_line_number)\""' |
        curl --parallel --parallel-max "$2" --fail-early -K -
    cat "$work/answers"/*
}

keys_csv() {
    jq -r '.result.data[] | [.id, .apiKeyName, .type] | @csv' "$@"
}

tokens_csv() {
    jq -r '.result.data | .apiKey as $key | .authTokens[] |
        [$key, .token, .name, "{" + (.domains | join(",")) + "}"] | @csv'
}

# those of customers, quoted
customers() {
    psql -qXAt -c 'SELECT to_json(key) FROM customers'
}

load() {
    psql -qX1 -c "TRUNCATE $1" -c "\\copy $1 from '$2' csv"
}

case $what in
    first)
        ask_keys "$2" "$3" "{\"pageSize\":$1}" | keys_csv >"$work/keys"
        load peer_keys "$work/keys"
        ;;
    keys)
        pids=()
        while (($# > 0)); do
            all_keys "$1" "$2" >"$work/pages${#pids[@]}" &
            pids+=("$!")
            shift 2
        done
        for pid in "${pids[@]}"; do
            wait "$pid"
        done
        keys_csv "$work"/pages* >"$work/keys"
        load peer_keys "$work/keys"
        ;;
    named)
        customers | jq -cs 'range(0; length; 30) as $n |
            {apiKeys: .[$n:$n + 30], pageSize: 30}' |
            ask_many apikeys/get "$@" | keys_csv >"$work/keys"
        load peer_keys "$work/keys"
        ;;
    tokens-named)
        customers | jq -c '{apiKey: .}' |
            ask_many authtokens/get "$@" | tokens_csv >"$work/tokens"
        load peer_tokens "$work/tokens"
        ;;
    tokens)
        all_keys "$2" "$3" | jq -c '.result.data[] | {apiKey: .id}' |
            ask_many authtokens/get "$@" | tokens_csv >"$work/tokens"
        load peer_tokens "$work/tokens"
        ;;
    join)
        all_keys "$2" "$3" |
            jq -c --arg type "$4" '.result.data |= map(select(.type == $type))' \
                >"$work/pages"
        keys_csv "$work/pages" >"$work/keys"
        jq -c '.result.data[] | {apiKey: .id}' "$work/pages" |
            ask_many authtokens/get "${@:1:3}" | tokens_csv >"$work/tokens"
        load peer_keys "$work/keys"
        load peer_tokens "$work/tokens"
        ;;
esac
