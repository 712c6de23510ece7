#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: docker/build.sh [--binary FILE] [--tag NAME] [--work FOLDER]
#
# Builds the image with buildah and without a registry: the files are laid out by stage.sh on this
# Debian 12, then the last stage of the Dockerfile is built from them. Prints its size, and fails
# beyond 15 MB. Storage and runtime are podman's own unless CONTAINERS_STORAGE_CONF and
# CONTAINERS_CONF say otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
binary='' tag=localhost/picklewall work=build/image
limit=15000000
while [ $# -gt 0 ]; do
    case $1 in
    --binary) binary=$2 ;;
    --tag) tag=$2 ;;
    --work) work=$2 ;;
    *) echo "build.sh: $1: no such option; see the top of this file" >&2 && exit 64 ;;
    esac
    shift 2
done
if [ -z "$binary" ]; then
    cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr -DPW_TESTS=OFF --log-level=WARNING >/dev/null
    cmake --build --preset release
    binary=build/release/picklewall
fi
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}

mkdir -p "$work"
slim=${SLIM:-$work/slim} # made once; another build may lend its own
docker/slim.sh "$slim"
docker/stage.sh "$binary" "$slim" "$work/context/image"
sed -n '/^FROM scratch/,$p' docker/Dockerfile | sed 's/ --from=build / /' >"$work/Dockerfile"
version=$("$binary" version | sed -n 's/^picklewall //p')
# Docker's format: the one of OCI has no place for a HEALTHCHECK.
buildah bud -q --format docker --isolation chroot --network host --timestamp "$SOURCE_DATE_EPOCH" \
    --build-arg "VERSION=$version" -t "$tag" -f "$work/Dockerfile" "$work/context" >"$work/id"

size=$(du -sb --apparent-size "$work/context/image" | cut -f1)
files=$(find "$work/context/image" -type f | wc -l)
echo "$tag: $(cut -c-12 "$work/id"), $files files, $((size / 1000)) kB"
if [ "$size" -gt "$limit" ]; then
    echo "build.sh: that is more than $((limit / 1000)) kB; find the largest below $work/context/image" >&2
    exit 1
fi
