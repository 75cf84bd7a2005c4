#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Where the instructions go:
#
#   bench/profile.sh micro CASE [weir-bench options]   one hot module: callgrind counts each
#                                                      instruction; what weir-bench --list shows
#   bench/profile.sh live [SECONDS]                    weir under weir-load and weir-sink: perf
#                                                      samples its CPU time, by thread and by symbol
#
# Counts by callgrind are the same in every run, whoever else uses the machine; shares by perf are
# where the time really goes, kernel included. Symbols are those of the `release` preset, which is
# built first (in build/release; BUILD=DIR takes another folder as it is).
# POINTS (2000): of a body for callgrind. TOP (30): lines shown. DIRECTORY (/var/tmp): where the
# gateway's spool is. Needs valgrind for `micro`, and perf (linux-perf) and python3-yaml for `live`:
# all Debian's.
set -euo pipefail
cd "$(dirname "$0")/.." || exit 1

usage() {
    sed -n '4,16s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# need PROGRAM PACKAGE
need() {
    if ! command -v "$1" >/dev/null; then
        echo "bench/profile.sh: $1 is missing: apt-get install $2" >&2
        exit 1
    fi
}

# build TARGET...: sets $build to the folder the programs are in.
build() {
    if [ -n "${BUILD:-}" ]; then
        build=$BUILD
        return
    fi
    build=$PWD/build/release
    { cmake --preset release && cmake --build --preset release --target "$@"; } >&2
}

micro() {
    [ $# -ge 1 ] || usage
    local name=$1 points=${POINTS:-2000} top=${TOP:-30} folder out
    shift
    need valgrind valgrind
    need callgrind_annotate valgrind
    build weir-bench
    folder=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder's name as it is now
    trap "rm -rf '$folder'" EXIT
    out=$folder/callgrind.out
    if ! valgrind --tool=callgrind --toggle-collect=weir_harness_subject --dump-instr=no \
        --callgrind-out-file="$out" "$build/weir-bench" --once --points "$points" "$@" "$name" \
        >"$folder/told" 2>"$folder/errors"; then
        grep -v '^==' "$folder/errors" >&2
        exit 1
    fi
    callgrind_annotate --threshold=100 --auto=no "$out" >"$folder/annotated"
    python3 -B bench/profile.py callgrind "$folder/annotated" "$name" "$points" "$top"
}

live() {
    local seconds=${1:-10}
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || usage
    need perf linux-perf
    build weir weir-load weir-sink
    python3 -B bench/profile.py live "$build" "$seconds" "${TOP:-30}"
}

case ${1:-} in
micro) shift && micro "$@" ;;
live) shift && live "$@" ;;
*) usage ;;
esac
