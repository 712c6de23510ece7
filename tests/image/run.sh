#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/image/run.sh [BINARY]
#
# Builds the image (of BINARY, or of a release build) and tests it, with a podman whose storage is
# a folder of its own: nothing is left behind. Where podman does not run, says so and ends well.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/build/image
store=$(mktemp -d)

skip() {
    echo "skipped: the image is not tested: $*"
    echo "0 passed, 0 failed"
    exit 0
}
# What podman left mounted below its own folder, and nothing else.
clean() {
    umount "$store/store/overlay" 2>/dev/null || true
    if [ -z "$netns" ]; then
        umount /run/netns 2>/dev/null || true
    fi
    rm -rf "$store"
}
netns=$(findmnt -n /run/netns || true)
trap clean EXIT

[ "$(id -u)" -eq 0 ] || skip "podman needs root here, to drop it again; run it with sudo"
.ci/install-deps.sh image image-build >"$store/apt" 2>&1 ||
    skip "its packages cannot be installed: $(tail -n 1 "$store/apt")"
cat >"$store/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
cat >"$store/storage.conf" <<CONF
[storage]
driver = "${STORAGE_DRIVER:-overlay}"
graphroot = "$store/store"
runroot = "$store/run"
CONF
export CONTAINERS_CONF=$store/containers.conf CONTAINERS_STORAGE_CONF=$store/storage.conf
podman info >"$store/info" 2>&1 || skip "podman does not run: $(tail -n 1 "$store/info")"

binary=${1:-}
tag=localhost/picklewall:test
docker/build.sh ${binary:+--binary "$binary"} --tag "$tag" --work "$work"
podman run --rm --network none "$tag" version >"$store/version" 2>"$store/words" ||
    skip "no container runs here: $(tail -n 1 "$store/words")"
IMAGE_TAG=$tag IMAGE_TREE=$work/context/image IMAGE_BINARY=$(realpath "${binary:-build/release/picklewall}") \
    /usr/bin/python3 -m pytest -q -p no:cacheprovider --junit-xml "$store/tests.xml" tests/image || true
/usr/bin/python3 - "$store/tests.xml" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0].attrib
total, bad = int(suite["tests"]), int(suite["failures"]) + int(suite["errors"])
print(f"{total - bad - int(suite['skipped'])} passed, {bad} failed")
sys.exit(bad > 0)
PYTHON
