#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# X3m.System dispatches: from one BEAM node to a service in C and to the same on
# a second BEAM node, in both generations of the protocol; and from C.
set -eu
cd "$(dirname "$0")/../.."
export TENON_BIN="${TENON_BIN:-$PWD/priv/bin/tenon}"
export TENON_DEMO_SO="${TENON_DEMO_SO:-$PWD/priv/handlers/demo.so}"
export TENON_LIVE_SO="${TENON_LIVE_SO:-$PWD/priv/handlers/probe.so}"
cd elixir_harness
export MIX_ENV=dev MIX_BUILD_PATH="$PWD/_build/demo${X3M:+-$X3M}"
export LANG="${LANG:-C.UTF-8}"
export ELIXIR_ERL_OPTIONS="+Bd -noinput ${ELIXIR_ERL_OPTIONS-}"
exec mix run --no-start ../test/bench/x3m.exs </dev/null
