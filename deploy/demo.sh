#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Weir in action, in one command on a fresh Debian 12: installs what it needs, builds, starts the
# gateway and a backend on loopback, plays Firehose in all three formats, and shows what came out.
#
#   deploy/demo.sh              the whole show, about a minute after the build
#   deploy/demo.sh --quick      a shorter one
#
# Everything it starts ends with it; what it built stays in build/release for real use.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    if [ -t 1 ]; then
        printf '\033[1m%s\033[0m\n' "$1"
    else
        printf '%s\n' "$1"
    fi
}

step "1/3  Debian packages"
deploy/setup.sh build
echo "     all there"

step "2/3  Building (release)"
begun=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release && cmake --build --preset release --target weir; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "demo: the build failed (the lines above say why)" >&2
    exit 1
fi
echo "     build/release/weir, $(((SECONDS - begun))) s"

step "3/3  The show"
python3 -B deploy/demo.py build/release/weir "$@"
