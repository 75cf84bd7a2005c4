#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/model/check.sh MODEL    checks tests/model/MODEL.pml in every interleaving
#
# The model as it is must hold, and each of the mutants that its first comment numbers must not:
# a model that finds no planted fault proves nothing. Exits 77 where spin is not installed.
set -euo pipefail
model=$(cd "$(dirname "$0")" && pwd)/$1.pml
command -v spin >/dev/null || {
    echo "skipped: spin is not installed"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Prints the number of errors that the search found, and fails where it was cut short.
errors() {
    spin -a "$@" "$model" >spin.log 2>&1 || { cat spin.log >&2 && return 1; }
    gcc "$optimise" -w -DSAFETY -DCOLLAPSE -DNOFAIR -DVECTORSZ=2048 -o pan pan.c
    ./pan -m100000 >pan.log
    if grep -qE 'max search depth too small|out of memory|Search not completed' pan.log &&
        ! grep -qE 'errors: [1-9]' pan.log; then
        cat pan.log >&2
        return 1
    fi
    grep -oE 'errors: [0-9]+' pan.log | grep -oE '[0-9]+'
}

optimise=-O1
found=$(errors)
states=$(grep -oE '[0-9.e+]+ states, stored' pan.log)
if [ "$found" -ne 0 ]; then
    cat pan.log
    spin -t -p "$model" | tail -n 80
    echo "$1: the model does not hold"
    exit 1
fi
echo "$1: holds ($states)"

failed=0 optimise=-O0 # faults are found soon
for mutant in $(sed -nE '/^ \*\/$/q; s/^ \*   ([0-9]+)  .*/\1/p' "$model"); do
    if [ "$(errors "-DMUTANT=$mutant")" -eq 0 ]; then
        echo "$1: mutant $mutant was not found"
        failed=1
    else
        echo "$1: mutant $mutant is found"
    fi
done
exit $failed
