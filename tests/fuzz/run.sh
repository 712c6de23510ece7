#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes every target of tests/fuzz: tests/fuzz/run.sh [--seconds N | --smoke] [--jobs N] [--afl]
#     --seconds N  each target for N seconds, starting from its corpus and what earlier runs found
#     --smoke      20,000 inputs from one fixed seed: the same on every machine
#     --afl        the differential target under AFL++, too
# Then the scanner runs beside each CPython of this machine (tests/fuzz/differential/README.md).
# Ends with "N passed, N failed". What broke a target is kept under build/fuzz/found/.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=60
smoke=no
afl=no
jobs=$(nproc)
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2 && shift ;;
    --smoke) smoke=yes ;;
    --afl) afl=yes ;;
    --jobs) jobs=$2 && shift ;;
    *) echo "fuzz/run.sh: $1: no such option; see the top of this file" >&2 && exit 64 ;;
    esac
    shift
done
if [ "$smoke" = yes ]; then
    mode=(-seed=1 -runs=20000)
    c_mode=(--seed 1 --count 400000)
    python_mode=(--seed 1 --count 100000)
else
    half=$(((seconds + 1) / 2))
    mode=(-max_total_time="$seconds")
    c_mode=(--seed "$EPOCHSECONDS" --seconds "$half")
    python_mode=(--seed "$EPOCHSECONDS" --seconds "$half")
fi
mkdir -p build/fuzz/corpus build/fuzz/found build/fuzz/log

# The targets for libFuzzer have sanitizers in them; the runners are built for speed.
mapfile -t targets < <(sed -n 's/^ *pw_fuzz_target(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt)
cmake --preset fuzz --log-level=WARNING >/dev/null
cmake --build --preset fuzz -j "$jobs" --target "${targets[@]/#/fuzz_}"
cmake --preset dev --log-level=WARNING >/dev/null
cmake --build --preset dev -j "$jobs" --target differential
mapfile -t runners < <(find build/dev/tests/fuzz/differential -type f -name 'differential_3*' | sort -V)

if [ ${#runners[@]} -eq 0 ]; then
    echo "fuzz/run.sh: no CPython to compare with; .ci/install-deps.sh fuzz installs libpython3-dev" >&2
    exit 69
fi

# fuzz NAME: one line of result; 1 when the target broke.
fuzz() {
    local name=$1 grown=build/fuzz/corpus/$1 log=build/fuzz/log/$1.txt
    mkdir -p "$grown"
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
    grep -m 5 -E 'ERROR|SUMMARY|runtime error|DEADLY|^FAILED' "$log" || tail -5 "$log"
    return 1
}

# differ RUNNER: the same for one CPython, with its C unpickler alone and then with both.
differ() {
    local name log corpus=(tests/fuzz/corpus/differential tests/fuzz/corpus/scan)
    name=$(basename "$1")
    log=build/fuzz/log/$name.txt
    if { "$1" "${c_mode[@]}" --found build/fuzz/found "${corpus[@]}" &&
        "$1" "${python_mode[@]}" --python --found build/fuzz/found "${corpus[@]}"; } >"$log" 2>&1; then
        awk -v name="$name" '/ comparisons in / { sum += $1 }
            END { printf "ok      %-20s %9d comparisons\n", name, sum }' "$log"
        return 0
    fi
    echo "FAILED  $name: $log"
    grep -m 20 -A 5 -E '^FAILED|^differential:' "$log" || tail -5 "$log"
    return 1
}

# under_afl: the same with AFL++, which keeps its queue in build/afl/out.
under_afl() {
    local log=build/fuzz/log/afl.txt out=build/afl/out crashes
    cmake -G Ninja -B build/afl -DCMAKE_C_COMPILER=afl-clang-fast -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DPW_PYTHONS=/usr/bin/python3 --log-level=WARNING >/dev/null
    cmake --build build/afl -j "$jobs" --target afl_differential >"$log"
    cmake --build --preset dev -j "$jobs" --target afl_mutator >>"$log"
    AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_AUTORESUME=1 \
        AFL_CUSTOM_MUTATOR_LIBRARY=build/dev/tests/fuzz/differential/libafl_mutator.so \
        afl-fuzz -i tests/fuzz/corpus/differential -o "$out" -V "$seconds" -t 10000 \
        -- build/afl/tests/fuzz/differential/afl_differential >>"$log" 2>&1 </dev/null || true
    crashes=$(find "$out/default/crashes" -name 'id*' 2>/dev/null | wc -l)
    if [ -f "$out/default/fuzzer_stats" ] && [ "$crashes" -eq 0 ]; then
        awk '/^execs_done/ { runs = $3 } /^edges_found/ { edges = $3 }
            END { printf "ok      %-20s %9d runs, %d edges\n", "afl", runs, edges }' "$out/default/fuzzer_stats"
        return 0
    fi
    echo "FAILED  afl: $crashes crashes in $out/default/crashes; $log"
    return 1
}

# The result of each target is a file, so that none is counted twice or forgotten.
results=$(mktemp -d)
trap 'rm -rf "$results" build/fuzz/corpus/smoke.*' EXIT
running=0
total=0
start() {
    total=$((total + 1))
    if [ "$running" -ge "$jobs" ]; then
        wait -n || true
        running=$((running - 1))
    fi
    { "$@" && touch "$results/$total"; } &
    running=$((running + 1))
}
for name in "${targets[@]}"; do
    start fuzz "$name"
done
for runner in "${runners[@]}"; do
    start differ "$runner"
done
[ "$afl" = no ] || start under_afl
wait
passed=$(find "$results" -type f | wc -l)
failed=$((total - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
