#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# X3m.System dispatches: from one BEAM node to a service in C and to the same on
# a second BEAM node, in both generations of the protocol; and from C.
exec sh "$(dirname "$0")/run" x3m.exs
