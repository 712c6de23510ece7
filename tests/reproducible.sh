#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Two release builds, of two copies of the source in folders of different lengths, give the same
# program once the symbols are stripped. Takes as long as two builds: not a part of .ci/run.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
    mkdir -p "$1"
    git ls-files -z | xargs -0 cp --parents -t "$1"
    cmake --preset release -S "$1" -B "$1/build/release" -DPW_TESTS=OFF -DCMAKE_INSTALL_PREFIX=/usr \
        --log-level=WARNING >/dev/null
    cmake --build "$1/build/release" --target picklewall >"$1/log" 2>&1 || { cat "$1/log" && exit 1; }
    strip -o "$1/picklewall" "$1/build/release/picklewall"
}
build "$work/one"
sleep 1 # another second, should somebody write the time
build "$work/another/of/a/longer/name"
sha256sum "$work"/one/picklewall "$work"/another/of/a/longer/name/picklewall
cmp "$work"/one/picklewall "$work"/another/of/a/longer/name/picklewall
if strings "$work/one/picklewall" | grep -F "$work"; then
    echo "reproducible.sh: the folder of the build is in the program" >&2
    exit 1
fi
echo "the same program"
