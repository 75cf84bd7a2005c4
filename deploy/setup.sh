#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what Weir needs from Debian 12 packages. Instant, and without root, when all is there.
#
#   deploy/setup.sh          everything (build and test)
#   deploy/setup.sh build    what it takes to build the program
#   deploy/setup.sh test     what it takes to run tests/run.sh as well
set -euo pipefail

build_packages=(
    gcc libc6-dev cmake ninja-build pkg-config git ca-certificates
    libh2o-evloop-dev libssl-dev libdeflate-dev libisal-dev libzstd-dev libnanopb-dev nanopb
    protobuf-compiler libjemalloc-dev liburcu-dev libcurl4-openssl-dev libyaml-dev libseccomp-dev
    libcmocka-dev python3 # CMake configures the tests together with the program
)
test_packages=(
    curl prometheus gcovr clang clang-format llvm libclang-rt-14-dev zlib1g-dev
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
    zstd # the second opinion on zstd bodies
    python3-grpcio protobuf-compiler-grpc python3-protobuf # a gRPC server that is not ours
    e2fsprogs # a small file system to fill
    systemd # systemd-analyze, which judges deploy/systemd
    haproxy nginx-light slowhttptest # what stands in front of Weir, and what attacks it
    python3-yaml # reads deploy/kubernetes
    spin # checks the models of what crosses threads
)

case "${1:-all}" in
all) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
build) wanted=("${build_packages[@]}") ;;
test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
-h | --help)
    sed -n '4,8s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
*)
    echo "usage: $0 [all|build|test]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup: this needs Debian 12 (dpkg, apt-get); elsewhere install the equivalents of:" >&2
    printf '  %s\n' "${wanted[@]}" >&2
    exit 1
fi

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p')
missing=()
for package in "${wanted[@]}"; do
    if ! grep -qxF -- "$package" <<<"$installed"; then
        missing+=("$package")
    fi
done
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi

echo "setup: installing ${#missing[@]} Debian packages: ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
    echo "setup: installing packages needs root; run once:  sudo $0 ${1:-all}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
if ! log=$(apt-get update -q 2>&1); then
    printf '%s\n' "$log" >&2
    echo "setup: apt-get update failed: is there a network, and a mirror in /etc/apt?" >&2
    exit 1
fi
# A container has no init to start services with; dpkg's own hooks cope with that, we add nothing.
if ! log=$(apt-get install -q -y --no-install-recommends "${missing[@]}" 2>&1); then
    printf '%s\n' "$log" | tail -n 40 >&2
    echo "setup: apt-get install failed (the lines above say why)" >&2
    exit 1
fi
echo "setup: done"
