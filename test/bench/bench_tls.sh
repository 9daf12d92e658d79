#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Server calls with TLS and without, from C and from a BEAM node, to each of the
# two, in one run. BENCH_ROUNDS and BENCH_SECONDS (of each measurement) say how
# long; the default takes some two minutes.
set -eu
cd "$(dirname "$0")/../.."
export TENON_BIN="${TENON_BIN:-$PWD/priv/bin/tenon}"
export TENON_DEMO_SO="${TENON_DEMO_SO:-$PWD/priv/handlers/demo.so}"
export TENON_LIVE_SO="${TENON_LIVE_SO:-$PWD/priv/handlers/probe.so}"
certs=$(mktemp -d)
trap 'rm -rf "$certs"' EXIT
trap 'exit 1' HUP INT TERM
sh test/make-certs "$certs" "${TENON_HOST:-localhost}"
export BENCH_CERTS="$certs"
cd elixir_harness
export MIX_ENV=dev MIX_BUILD_PATH="$PWD/_build/demo${X3M:+-$X3M}"
export LANG="${LANG:-C.UTF-8}"
export ELIXIR_ERL_OPTIONS="+Bd -noinput ${ELIXIR_ERL_OPTIONS-}"
mix run --no-start ../test/bench/tls.exs </dev/null
