#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything that reads the code and runs none of it. Ends with "N passed, N failed".
# Wants a configured build/dev, for its compile commands. ANALYZER_NODES bounds how far clang's
# analyzer follows a function; a tenth of its own default finds nearly all, in a sixth of the time.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1

jobs=$(nproc)
passed=0
failed=0

# check NAME COMMAND…: one line when it holds, its words when it does not.
check() {
    local name=$1 words
    shift
    if words=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n%s\n' "$name" "$words"
    fi
}

# Ours, not what a build or an editor left behind.
ours() {
    find . \( -path ./.git -o -path ./build -o -name corpus \) -prune \
        -o -type f \( "$@" \) -print | sort
}
c_files() { ours -name '*.c' -o -name '*.h'; }
scripts() { ours -name '*.sh' -o -path './.ci/*' | xargs grep -lE '^#!/bin/(ba)?sh'; }

format() { c_files | xargs clang-format --dry-run -Werror; }
shell() { scripts | xargs shellcheck; }
spelling() {
    codespell --quiet-level 2 --check-hidden --ignore-words tests/lint/words.txt \
        --skip './.git,./build,*/corpus/*,*/data/*,*.pyc' .
}
cpp_check() {
    cppcheck --quiet --std=c17 --enable=warning,performance,portability --inline-suppr \
        --error-exitcode=1 -j "$jobs" -I . -D_GNU_SOURCE '-DPW_VERSION="lint"' \
        --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
        --suppressions-list=tests/lint/cppcheck.txt common proxy
}
tidy() {
    local budget=(-Xclang -analyzer-config -Xclang "max-nodes=${ANALYZER_NODES:-225000}")
    find common proxy -name '*.c' | sort |
        xargs -n 4 -P "$jobs" clang-tidy -p build/dev --quiet "${budget[@]/#/--extra-arg=}" 2>&1 |
        { grep -E ': (error|warning):' || true; } # the exit code is xargs's
}
manual() { ours -name '*.[1-8]' | xargs -r mandoc -T lint -W warning; }

check "floors: includes respect the stair" tests/lint/floors.py
check "house: licences, banned calls, lengths, reasons" tests/lint/house.py
check "headers: each compiles alone" tests/lint/headers.py
check "constant time: no tag is compared in haste" tests/lint/constant_time.py
check "rules: the lint refuses what it should" \
    /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/lint/test_lint.py
check "clang-format" format
check "shellcheck" shell
check "codespell" spelling
check "mandoc" manual
check "cppcheck" cpp_check
check "clang-tidy" tidy

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
