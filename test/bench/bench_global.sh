#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What :global costs the BEAM nodes of a mesh: alone, with a Tenon node among
# them, and with one more BEAM node in its place, in one run.
exec sh "$(dirname "$0")/run" global.exs
