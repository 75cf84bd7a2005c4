#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the image's first stage does: builds the program, and puts what the second one needs into a
# folder: the program, the configuration, and the names of the packages whose libraries it loads.
#
#   deploy/container/stage.sh BUILD STAGE
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?the folder to build in}
stage=${2:?the folder to fill}

cmake --preset release -B "$build" >/dev/null
cmake --build "$build" --target weir
mkdir -p "$stage"
install -m 0755 "$build/weir" "$stage/weir"
strip --strip-unneeded "$stage/weir"
install -m 0644 deploy/container/weir.yaml "$stage/weir.yaml"

# The loader's own list, so that nobody has to keep one. A merged /usr has each library twice.
ldd "$stage/weir" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | while read -r library; do
    dpkg-query -S "$library" 2>/dev/null || dpkg-query -S "/usr$library" 2>/dev/null ||
        dpkg-query -S "${library#/usr}"
done | sed 's/:.*//' | sort -u >"$stage/packages"
"$stage/weir" version
