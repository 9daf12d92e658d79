#!/bin/sh
# Runs a program and ends it when standard input closes, so that nothing outlives the one who started it.
# The first line written is "pid N", N being the program's own process id.
exec 3<&0
"$@" 3<&- </dev/null &
pid=$!
echo "pid $pid"
(
    while read -r _; do :; done
    kill -KILL "$pid"
) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$pid"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
