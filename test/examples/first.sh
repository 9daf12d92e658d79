#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the first node of README and calls its service by the tenon command.
set -eu
program=$1
tenon=${TENON_BIN:-priv/bin/tenon}
node="first_$$@127.0.0.1"
export RELEASE_COOKIE="first_$$"
log=$(mktemp)
pid=
trap 'kill -KILL $pid 2>/dev/null || :; rm -f "$log"' EXIT

fail() {
    echo "first: $*" >&2
    cat "$log" >&2
    exit 1
}

expect() {
    wanted=$1
    shift
    got=$("$tenon" "$@" --timeout 60000 2>>"$log") || :
    [ "$got" = "$wanted" ] || fail "tenon $*: expected $wanted, got $got"
}

"$program" "$node" 2>"$log" &
pid=$!

# A ping fails at once while the node is not there yet; how long that may take
# is for whoever runs this to limit.
until "$tenon" ping "$node" >/dev/null 2>&1; do
    kill -0 $pid 2>/dev/null || fail "$node has ended"
    sleep 0.05
done

expect '{:ok, 3}' dispatch sum '%{"a" => 1, "b" => 2}' --connect "$node"
expect '{:error, {:badarg, :junk}}' dispatch sum :junk --connect "$node"
expect '{:error, {:badarg, %{"a" => 9223372036854775807, "b" => 1}}}' \
    dispatch sum '%{"a" => 9223372036854775807, "b" => 1}' --connect "$node"
expect "sum $node Calc.Router" services --connect "$node"

kill -TERM $pid
wait $pid || fail "ended with status $?, expected 0"
pid=
echo "first: served and called"
