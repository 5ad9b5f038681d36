#!/bin/bash
#
# What people write without velt_fdw: curl, jq, and psql's \copy into a table.
#
# peer.sh URL keys (WORKSPACE TOKEN)...        into the table peer_keys
# peer.sh URL tokens N WORKSPACE TOKEN [TYPE]  ... tokens of all keys, or those
#                                              of a type, N at a time, into
#                                              the table peer_tokens

set -euo pipefail

url=$1
what=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ask ENDPOINT DATA
ask() {
    curl -sS --fail --noproxy '*' -H 'Content-Type: application/json' \
        -H "x-velt-workspace-id: $workspace" -H "x-velt-auth-token: $token" \
        -d "{\"data\":$2}" "$url/v2/workspace/$1"
}

keys() {
    local next=

    while :; do
        ask apikeys/get "{\"pageSize\":100${next:+,\"pageToken\":\"$next\"}}" |
            jq -r '(.result.nextPageToken // ""),
                (.result.data[] | [.id, .apiKeyName, .type] | @csv)' \
                >"$work/page"
        { read -r next; cat; } <"$work/page"
        [[ $next ]] || break
    done
}

tokens_of() {
    ask authtokens/get "{\"apiKey\":\"$1\"}"
}

case $what in
    keys)
        while (($# > 0)); do
            workspace=$1 token=$2
            keys
            shift 2
        done >"$work/keys"
        psql -qX -c "\\copy peer_keys from '$work/keys' csv"
        ;;
    tokens)
        at_once=$1 workspace=$2 token=$3 type=${4:-}
        export -f ask tokens_of
        export url workspace token
        keys | grep "${type:-}" | cut -d, -f1 | tr -d '"' |
            xargs -P "$at_once" -I{} bash -c "tokens_of {} >'$work/{}'"
        cat "$work"/velt* | jq -r '.result.data | .apiKey as $key |
            .authTokens[] | [$key, .token, .name,
            "{" + (.domains | join(",")) + "}"] | @csv' >"$work/tokens"
        psql -qX -c "\\copy peer_tokens from '$work/tokens' csv"
        ;;
esac
