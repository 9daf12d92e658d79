#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calls from one BEAM node, to Tenon and to a second BEAM node, in one run; and
# what a Tenon node needs in memory and time to start.
exec sh "$(dirname "$0")/run" calls.exs
