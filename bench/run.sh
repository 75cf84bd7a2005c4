#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds `release`, measures every bar, prints each with what was measured and "pass" or "falls
# short", and writes the tables of docs/performance.md:
#
#   bench/run.sh                     all of it, some twelve minutes on an idle machine
#   bench/run.sh --quick             coarse, two to three minutes, writes no page
#   bench/run.sh --only cost,memory  these alone (--help names them)
#   bench/run.sh --directory DIR     a folder on the disk that is to be measured (/var/tmp)
#
# WEIR_BENCH_BUILD: a build folder other than build/release, built already.
# Exits 0 also when a bar is not reached; 1 when something broke or a point did not arrive exactly
# once; 128 + n when signal n ended it, and then nothing stays behind.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${WEIR_BENCH_BUILD:-}
if [ -z "$build" ]; then
    build=$PWD/build/release
    mkdir -p build/logs
    if ! { cmake --preset release && cmake --build --preset release --target weir weir-load \
        weir-sink weir-bench; } >build/logs/bench-build.log 2>&1; then
        tail -n 40 build/logs/bench-build.log >&2
        exit 1
    fi
fi
exec python3 -B bench/main.py --build "$build" "$@"
