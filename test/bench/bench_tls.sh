#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Server calls with TLS and without, from C and from a BEAM node, to each of the
# two, in one run. BENCH_ROUNDS and BENCH_SECONDS (of each measurement) say how
# long; the default takes some two minutes.
set -eu
cd "$(dirname "$0")/../.."
certs=$(mktemp -d)
trap 'rm -rf "$certs"' EXIT
trap 'exit 1' HUP INT TERM
sh test/make-certs "$certs" "${TENON_HOST:-localhost}"
export BENCH_CERTS="$certs"
sh test/bench/run tls.exs
