#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   fuzz/run.sh [--fast] [time [entry...]]   each entry (default: all) so long: 10 (minutes), 30s
#
# Builds the fuzz preset, runs each target from its corpus in the tree, and prints one row a target;
# FUZZ_JOBS (default: one a core) of them at a time.
# New inputs stay in build/fuzz/corpus/<entry> and are used again, and executions are added up over
# runs in build/fuzz/executions; a finding is kept in build/fuzz/findings with the command that
# replays it. Exits 1 when there is a finding.
#
# --fast is for campaigns: the fuzz-fast preset has no sanitizers and runs several times as many, of
# inputs up to 512 bytes, guided by new edges alone. The oracles, the hot-path checks and the guard
# pages are the same; corpus and executions are shared with the other; what it finds, and what it
# adds to the corpus, is for the targets with sanitizers to run again.
#
# FUZZ_UNTIL: an entry with so many executions in all is done, and not run again.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=fuzz
length=65536
guidance=()
if [ "${1:-}" = --fast ]; then
    preset=fuzz-fast
    length=512
    guidance=(-entropic=0 -use_counters=0)
    shift
fi

case "${1:-1}" in
*[!0-9s]* | *s?* | s) seconds= ;;
*s) seconds=${1%s} ;;
*) seconds=$((${1:-1} * 60)) ;;
esac
shift || true
if [ -z "$seconds" ]; then
    echo "usage: fuzz/run.sh [--fast] [MINUTES|SECONDSs [entry...]]" >&2
    exit 2
fi
build=$PWD/build/fuzz
found=$build/findings
log=$build/fuzz-logs
executions=$build/executions
jobs=${FUZZ_JOBS:-$(nproc)}
goal=${FUZZ_UNTIL:-}
row='%-16s %12s %14s %8s %8s %8s %6s %6s  %s\n'

# The canary must fall within 30 s, or the whole machinery is not to be believed.
canary() {
    clang -g -O1 -fsanitize=fuzzer,address fuzz/canary.c -o "$build/canary"
    if "$build/canary" -max_total_time=30 -artifact_prefix="$log/" >"$log/canary" 2>&1; then
        printf "$row" canary - - - - - - - 'FAILED: the planted bug was not found'
        return 1
    fi
    printf "$row" canary - - - - - - - 'ok (the planted bug was found)'
}

# The last number after the word $1 in a libFuzzer log $2, or `-`.
number() {
    local last
    last=$({ grep -oE "[ :]$1: +[0-9]+" "$2" || true; } | tail -n 1)
    echo "${last:+${last##* }}"
}

files() {
    find "$@" -type f | wc -l
}

one() {
    local entry=$1 target=$PWD/build/$preset/fuzz/fuzz_$1 out=$log/$1 options=("${guidance[@]}")
    local seeds=$PWD/fuzz/corpus/$entry grown=$build/corpus/$entry result=ok
    local before done_now total input
    total=$(cat "$executions/$entry" 2>/dev/null || echo 0)
    if [ -n "$goal" ]; then
        if [ "$total" -ge "$goal" ]; then
            printf "$row" "$entry" 0 "$total" - - - - - ok
            return
        fi
        options+=("-runs=$((goal - total))")
    fi
    mkdir -p "$grown"
    before=$(files "$grown")
    [ -f "fuzz/dict/$entry.dict" ] && options+=("-dict=fuzz/dict/$entry.dict")
    [ -d "$seeds" ] || seeds=
    "$target" "${options[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=$length -print_final_stats=1 -artifact_prefix="$found/$entry-" \
        "$grown" ${seeds:+"$seeds"} >"$out" 2>&1 || result=FAILED
    done_now=$(number number_of_executed_units "$out")
    total=$((total + ${done_now/-/0}))
    echo "$total" >"$executions/$entry"
    printf "$row" "$entry" "$done_now" "$total" "$(number average_exec_per_sec "$out")" \
        "$(number cov "$out")" "$(number ft "$out")" "$(files "$grown" ${seeds:+"$seeds"})" \
        "$(($(files "$grown") - before))" "$result"
    if [ "$result" = FAILED ]; then
        { grep -E 'ERROR|SUMMARY|runtime error|Test unit written' "$out" || true; } |
            head -n 5 | sed 's/^/    /'
        [ "$preset" = fuzz ] || cmake --build --preset fuzz --target "fuzz_$entry" &>>"$log/build"
        input=$(find "$found" -name "$entry-*" -type f | head -n 1)
        echo "    replay: $build/fuzz/fuzz_$entry $input"
    fi
} >"$log/$1.row"

# Starts `jobs` entries at a time; each writes its row into a file, printed when it is done.
all() {
    local entry running=0 good
    rm -f "$log"/*.row
    for entry in "$@"; do
        if [ "$running" -ge "$jobs" ]; then
            wait -n || true
            running=$((running - 1))
        fi
        { one "$entry" && cat "$log/$entry.row"; } &
        running=$((running + 1))
    done
    wait || true
    good=$(cd "$log" && cat "${@/%/.row}" | { grep -c ' ok$' || true; })
    failed=$((failed + $# - good))
}

if [ "$#" -eq 0 ]; then
    for source in fuzz/*/fuzz_*.c; do
        entry=${source##*/fuzz_}
        set -- "$@" "${entry%.c}"
    done
fi
mkdir -p "$found" "$log" "$executions"
if ! { cmake --preset fuzz && cmake --preset "$preset" &&
    cmake --build --preset "$preset" --target "${@/#/fuzz_}"; } >"$log/build" 2>&1; then
    tail -n 40 "$log/build"
    exit 1
fi

failed=0
printf "$row" target executions in-all per/s coverage features corpus new result
canary || failed=1
all "$@"
echo "$# targets, $failed failed"
[ "$failed" -eq 0 ]
