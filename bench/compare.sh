#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two builds of the gateway beside each other, under the same load by turns:
#
#   bench/compare.sh OLD NEW             build folders, or revisions of git; --help has the rest
#   bench/compare.sh HEAD~1 build/release --rate 500000 --compression none
#
# Prints the medians of what a point took of each, and the median of the ratios NEW / OLD of the
# rounds, with their quartiles. The same build twice says how far this machine can be trusted.
# A revision is built with its release preset, in build/compare, where it stays for the next time.
set -euo pipefail
exec python3 -B "$(dirname "$0")/compare.py" "$@"
