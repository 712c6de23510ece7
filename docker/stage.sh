#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: docker/stage.sh BINARY SLIM ROOT
#
# Lays out in ROOT all that the image holds: the binary, stripped, the shared objects it needs
# (those in SLIM go before Debian's), configuration, policies, two users, and what is in it as
# SPDX. Both ways to the image (the Dockerfile, and build.sh without a registry) come through here.
set -euo pipefail
binary=$(realpath "$1")
slim=$(realpath "$2")
root=$3
source=$(cd "$(dirname "$0")/.." && pwd)
libraries=usr/lib/$(gcc -dumpmachine)

rm -rf "$root" "$root-state"
mkdir -p "$root"/{usr/bin,usr/share/picklewall,usr/share/doc/picklewall,etc/picklewall/keys} \
    "$root"/{tmp,lib64,var/lib} "$root/$libraries"
# Apart, for COPY gives an owner to what lies in a folder, not to the folder.
mkdir -p "$root-state/picklewall"
strip -o "$root/usr/bin/picklewall" "$binary"
LD_LIBRARY_PATH=$slim ldd "$binary" | grep -oE '/[^ ]+' | while read -r path; do
    case $path in
    /lib64/*) cp -L "$path" "$root/lib64/" ;; # the loader: its path is in the binary
    *) cp -L "$path" "$root/$libraries/" ;;
    esac
done
cp -r "$source/config/policies" "$root/usr/share/picklewall/"
cp "$source/config/picklewall.conf" "$root/etc/picklewall/"
cp "$source/LICENSE" "$root/usr/share/doc/picklewall/"
echo "picklewall:x:65532:65532::/var/lib/picklewall:/nonexistent" >"$root/etc/passwd"
echo "picklewall:x:65532:" >"$root/etc/group"
find "$root" -type d -exec chmod 0755 {} +
find "$root" -type f -exec chmod 0644 {} +
chmod 0755 "$root/usr/bin/picklewall" "$root"/lib64/*
chmod 1777 "$root/tmp"
chmod 0700 "$root-state/picklewall"
python3 "$source/docker/sbom.py" --slim "$slim" --version "$("$binary" version | sed -n 's/^picklewall //p')" \
    "$root" >"$root/usr/share/doc/picklewall/sbom.spdx.json"
