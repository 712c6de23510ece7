#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What of common/pickle its tests run: unit, oracle and the corpora of the fuzz targets.
# tests/coverage.sh [BUILD FOLDER] prints a row for each file and fails below the targets.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/coverage}
jobs=$(nproc)

lines=98
branches=95

# Branches that cannot be taken, as "pattern of the line | why".
impossible=(
    'pw_decode\((m->frame|cells->in), value\.ref|a value refers to an opcode that was decoded before'
    'pw_machine_value_text\(m, value, &text\) \?|the value is a text, by the case it is in'
    'sum == UINT64_MAX \?|one tuple in 2^64 hashes to -1'
    'cap > UINT32_MAX \?|frames of gigabytes'
)

# A pattern that fits no line any more is to be removed here.
exclude=()
echo "Not counted:"
for row in "${impossible[@]}"; do
    pattern=${row%|*}
    grep -nE "$pattern" common/pickle/*.c |
        awk -F: -v why="${row##*|}" '{ printf "    %s:%s: %s\n", $1, $2, why }' || {
        echo "coverage.sh: no line of common/pickle fits $pattern" >&2
        exit 1
    }
    exclude+=("$pattern")
done
all=$(IFS='|' && echo "${exclude[*]}")

# gcov counts every copy of what is inlined; here a function is one.
cmake --preset coverage -B "$build" -DCMAKE_C_FLAGS='-Dalways_inline=noinline -Wno-attributes' \
    --log-level=WARNING >/dev/null
cmake --build "$build" -j "$jobs" \
    --target tests/unit/pickle/all oracle_judge fuzz_scan fuzz_layer >/dev/null
find "$build" -name '*.gcda' -delete
run_tests() {
    ctest --output-on-failure -j "$jobs" --test-dir "$@" >"$build/tests.txt" || {
        cat "$build/tests.txt"
        exit 1
    }
}
run_tests "$build/tests/unit/pickle"
run_tests "$build" -R '^(oracle\.|fuzz\.(scan|layer)$)'

report=$build/pickle.json
gcovr --root . --object-directory "$build" --filter common/pickle/ --exclude-unreachable-branches \
    --exclude-throw-branches --exclude-branches-by-pattern ".*($all)" --json "$report"
gcovr --root . --add-tracefile "$report" --txt --fail-under-line "$lines"
gcovr --root . --add-tracefile "$report" --txt --branches --fail-under-branch "$branches"
