#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calls from one BEAM node, to Tenon and to a second BEAM node, in one run; and
# what a Tenon node needs in memory and time to start.
set -eu
cd "$(dirname "$0")/../.."
export TENON_BIN="${TENON_BIN:-$PWD/priv/bin/tenon}"
export TENON_DEMO_SO="${TENON_DEMO_SO:-$PWD/priv/handlers/demo.so}"
cd elixir_harness
export MIX_ENV=dev MIX_BUILD_PATH="$PWD/_build/demo${X3M:+-$X3M}"
export LANG="${LANG:-C.UTF-8}"
export ELIXIR_ERL_OPTIONS="+Bd -noinput ${ELIXIR_ERL_OPTIONS-}"
exec mix run --no-start ../test/bench/calls.exs </dev/null
