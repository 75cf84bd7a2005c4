#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The rooms without sockets, built for arm64 by Debian's cross compiler, their tests run by
# qemu-user. The libraries come from Debian's arm64 packages, unpacked into build/arm64-sysroot; apt
# works on a private state, so the machine's own architectures and package lists stay as they are.
# Prints `skipped: <reason>` and exits 0 where compiler, emulator or packages cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."

sysroot=$PWD/build/arm64-sysroot
packages=(libdeflate0 libdeflate-dev libisal2 libisal-dev libzstd1 libzstd-dev
    libcmocka0 libcmocka-dev liburcu8 liburcu-dev)

skip() {
    echo "skipped: $1"
    exit 0
}

# An apt command with arm64 as its architecture and all its state below the folder $1.
private_apt() {
    local state=$1
    shift
    "$@" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Acquire::Retries=3 \
        -o Acquire::Languages=none -o Dir::State="$state/lib" -o Dir::Cache="$state/cache" \
        -o Dir::State::status="$state/status" -o Debug::NoLocking=true -q=2
}

fill_sysroot() {
    local state uris uri name
    state=$(mktemp -d)
    trap 'rm -rf "$state"' RETURN
    mkdir -p "$state/lib/lists/partial" "$state/cache/archives/partial" "$state/debs"
    chmod -R a+rX "$state"
    : >"$state/status"
    private_apt "$state" apt-get update >"$state/log" 2>&1 || return 1
    (cd "$state/debs" && private_apt "$state" apt-get download "${packages[@]}") \
        >>"$state/log" 2>&1 || { cat "$state/log" >&2; return 1; }
    rm -rf "$sysroot.new"
    mkdir -p "$sysroot.new"
    for name in "$state"/debs/*.deb; do
        dpkg-deb -x "$name" "$sysroot.new"
    done
    printf '%s\n' "${packages[@]}" >"$sysroot.new/.packages"
    rm -rf "$sysroot"
    mv "$sysroot.new" "$sysroot"
}

for tool in aarch64-linux-gnu-gcc qemu-aarch64 apt-get dpkg-deb cmake ninja; do
    command -v "$tool" >/dev/null || skip "$tool is not installed (deploy/setup.sh test)"
done
if ! cmp -s <(printf '%s\n' "${packages[@]}") "$sysroot/.packages"; then
    echo "filling $sysroot with ${#packages[@]} packages"
    fill_sysroot || skip "Debian's arm64 packages cannot be downloaded"
fi

cmake --preset arm64
cmake --build --preset arm64
# the simulator and the enumerations of faults count by the hundred thousand, which is not for qemu;
# what they judge is the same code on every machine, and its unit and property tests are here; so do
# flipped bits and the dead letter's damaged files. What is resident is the emulator's.
ctest --preset arm64 -LE '^(sim|fault)$' \
    -E 'test_flipped_bit|unit\.letter\.test_letter|unit\.sys\.test_startup' "$@"
