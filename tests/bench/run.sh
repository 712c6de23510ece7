#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs every benchmark of a build (default build/dev) and prints what each measures. A program
# bench_NAME with a NAME.py beside its source is run by that script, which gives it its input.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/dev}

for program in "$build"/tests/bench/bench_*; do
    name=${program##*/bench_}
    [ -f "$program" ] || continue
    printf '\n== %s\n' "$name"
    if [ -f "tests/bench/$name.py" ]; then
        /usr/bin/python3 "tests/bench/$name.py" "$program"
    else
        "$program"
    fi
done
