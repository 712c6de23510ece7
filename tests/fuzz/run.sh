#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes every target of tests/fuzz: tests/fuzz/run.sh [--seconds N | --smoke] [--jobs N]
#     --seconds N  each target for N seconds, starting from its corpus and what earlier runs found
#     --smoke      20,000 inputs from one fixed seed: the same on every machine
# Ends with "N passed, N failed". What broke a target is kept under build/fuzz/found/.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=(-max_total_time=60)
smoke=no
jobs=$(nproc)
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) mode=(-max_total_time="$2") && shift ;;
    --smoke) mode=(-seed=1 -runs=20000) smoke=yes ;;
    --jobs) jobs=$2 && shift ;;
    *) echo "fuzz/run.sh: $1: no such option; see the top of this file" >&2 && exit 64 ;;
    esac
    shift
done

mapfile -t targets < <(sed -n 's/^ *pw_fuzz_target(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt)
cmake --preset fuzz --log-level=WARNING >/dev/null
cmake --build --preset fuzz -j "$jobs" --target "${targets[@]/#/fuzz_}"

# fuzz NAME: one line of result; 1 when the target broke.
fuzz() {
    local name=$1 grown=build/fuzz/corpus/$1 log=build/fuzz/log/$1.txt
    mkdir -p "$grown" build/fuzz/found build/fuzz/log
    [ "$smoke" = no ] || grown=$(mktemp -d build/fuzz/corpus/smoke.XXXXXX)
    if "build/fuzz/tests/fuzz/fuzz_$name" "${mode[@]}" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" \
        "$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        awk -v name="$name" '/number_of_executed_units/ { runs = $2 } / cov: / { cov = $4 }
            END { printf "ok      %-20s %9d runs, %d edges\n", name, runs, cov }' "$log"
        return 0
    fi
    echo "FAILED  $name: $log; run build/fuzz/tests/fuzz/fuzz_$name on what it kept:"
    sed -n 's/.*Test unit written to //p' "$log"
    grep -m 5 -E 'ERROR|SUMMARY|runtime error|DEADLY' "$log" || tail -5 "$log"
    return 1
}

# The result of each target is a file, so that none is counted twice or forgotten.
results=$(mktemp -d)
trap 'rm -rf "$results" build/fuzz/corpus/smoke.*' EXIT
running=0
for name in "${targets[@]}"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || true
        running=$((running - 1))
    fi
    { fuzz "$name" && touch "$results/$name"; } &
    running=$((running + 1))
done
wait
passed=$(find "$results" -type f | wc -l)
failed=$((${#targets[@]} - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
