#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every test there is, on a fresh Debian 12, in under 15 minutes on 2 cores:
#
#   tests/run.sh          packages, dev (ASan+UBSan, all tests), tsan, release, fuzz, arm64
#   tests/run.sh quick    packages and dev only
#   tests/run.sh STEP...  these steps only
#
# A failure does not keep the later steps from running. Ends with a table, and a last line
# `N passed, N failed, N skipped`; exits 1 when anything failed. Logs stay in build/logs.
# FUZZ_SECONDS (1): how long each fuzz target runs.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

logs=$PWD/build/logs
mkdir -p "$logs"
all=(packages dev tsan release fuzz arm64)
rows=()
passed=0 failed=0 skipped=0

heading() {
    printf '\n=== %s\n' "$1"
}

# Adds a row to the table: step, what, passed, failed, skipped, seconds.
row() {
    rows+=("$(printf '%-10s %-34s %7d %7d %8d %8ds' "$@")")
    passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
}

# An attribute of the first <testsuite> of a JUnit file.
attribute() {
    grep -m1 -oE "[[:space:]]$1=\"[0-9]+\"" "$2" | grep -oE '[0-9]+' || echo 0
}

# build PRESET [--target NAME...]: configures and builds; shows the errors when it fails.
build() {
    local begun=$SECONDS log=$logs/$1-build.log
    if { cmake --preset "$1" && cmake --build --preset "$@"; } >"$log" 2>&1; then
        echo "built $1 in $((SECONDS - begun)) s"
        return 0
    fi
    grep -E -A12 'error|FAILED' "$log" | head -n 60
    row "$1" "build (see build/logs/$1-build.log)" 0 1 0 $((SECONDS - begun))
    return 1
}

# suite PRESET WHAT ctest-arguments...: runs a preset's tests and counts them.
suite() {
    local preset=$1 what=$2 begun=$SECONDS junit=$logs/$1.xml total bad out
    shift 2
    rm -f "$junit"
    ctest --preset "$preset" --output-junit "$junit" --no-tests=error "$@" 2>&1 |
        tee "$logs/$preset.log" | grep -vE '^ +Start +[0-9]+:'
    if [ ! -s "$junit" ]; then
        row "$preset" "$what: ctest did not run" 0 1 0 $((SECONDS - begun))
        return
    fi
    total=$(attribute tests "$junit")
    bad=$(attribute failures "$junit")
    out=$(($(attribute skipped "$junit") + $(attribute disabled "$junit")))
    row "$preset" "$what" $((total - bad - out)) "$bad" "$out" $((SECONDS - begun))
}

step_packages() {
    if ! deploy/setup.sh test; then
        row packages "Debian packages" 0 1 0 0
    fi
}

step_dev() {
    build dev && suite dev "all tests, ASan and UBSan"
}

# What starts threads: the label is given in tests/CMakeLists.txt.
step_tsan() {
    build tsan --target tests-threads &&
        suite tsan "unit, property, race, some e2e" -L '^threads$'
}

step_release() {
    build release --target tests-unit tests-sim tests-fault tests-e2e-release &&
        suite release "unit, simulator, faults, some e2e" -L '^(unit|sim|fault|e2e-release)$'
}

step_fuzz() {
    local begun=$SECONDS bad good
    local sources=(fuzz/*/fuzz_*.c)
    sources=("${sources[@]##*/}")
    build fuzz --target "${sources[@]%.c}" || return
    suite fuzz "corpus replay" -L '^fuzz$'
    begun=$SECONDS
    fuzz/run.sh "${FUZZ_SECONDS:-1}s" 2>&1 | tee "$logs/fuzz-run.log"
    good=$(grep -cE ' ok( |$)' "$logs/fuzz-run.log")
    bad=$(grep -c ' FAILED' "$logs/fuzz-run.log")
    if [ "$((good + bad))" -eq 0 ]; then
        bad=1
    fi
    row fuzz "targets, ${FUZZ_SECONDS:-1} s each" "$good" "$bad" 0 $((SECONDS - begun))
}

step_arm64() {
    local begun=$SECONDS junit=$logs/arm64.xml total bad
    rm -f "$junit"
    if ! tests/arm64.sh --output-junit "$junit" >"$logs/arm64.log" 2>&1 && [ ! -s "$junit" ]; then
        tail -n 40 "$logs/arm64.log"
        row arm64 "build (see build/logs/arm64.log)" 0 1 0 $((SECONDS - begun))
    elif grep -m1 '^skipped:' "$logs/arm64.log"; then
        row arm64 "rooms without sockets, qemu-user" 0 0 1 $((SECONDS - begun))
    else
        grep -E '^ *[0-9]+/[0-9]+ Test|tests passed' "$logs/arm64.log"
        total=$(attribute tests "$junit")
        bad=$(attribute failures "$junit")
        row arm64 "rooms without sockets, qemu-user" $((total - bad)) "$bad" 0 $((SECONDS - begun))
    fi
}

case "${1:-all}" in
all) steps=("${all[@]}") ;;
quick) steps=(packages dev) ;;
-h | --help)
    sed -n '4,12s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
*) steps=("$@") ;;
esac
for step in "${steps[@]}"; do
    if ! declare -F "step_$step" >/dev/null; then
        echo "no step named $step; there are: ${all[*]}" >&2
        exit 2
    fi
done
for step in "${steps[@]}"; do
    heading "$step"
    "step_$step"
done

heading "summary"
printf '%-10s %-34s %7s %7s %8s %9s\n' step what passed failed skipped time
if [ "${#rows[@]}" -gt 0 ]; then
    printf '%s\n' "${rows[@]}"
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
