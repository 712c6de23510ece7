#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: docker/slim.sh FOLDER
#
# Puts two libraries there, built from the sources of the Debian packages that are installed, but
# for what the wall has no use for: a libmicrohttpd without HTTPS (metrics go in clear text) and a
# czmq without systemd's journal. Debian's own bring 14 more libraries along, 10 MB. What is there
# already stays. Wants gcc, cmake, make, dpkg-dev, and the archive.
set -euo pipefail
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export CFLAGS="-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$work=."
export LDFLAGS="-Wl,-z,relro,-z,now"

# An apt of its own: the machine's lists and sources stay as they are. Signatures are checked by
# Debian's keys, as always.
archive() {
    apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root "$@"
}
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" && exit 70; }; }

microhttpd() {
    quietly ./configure -q --prefix=/usr --disable-https --disable-static --disable-doc \
        --disable-examples --disable-curl
    quietly make -s -j"$(nproc)" -C src/microhttpd libmicrohttpd.la
    built=src/microhttpd/.libs/libmicrohttpd.so.12
}
czmq() {
    quietly cmake -S . -B out -DCMAKE_BUILD_TYPE=None -DCZMQ_WITH_SYSTEMD=OFF -DCZMQ_WITH_LZ4=OFF \
        -DCZMQ_WITH_LIBCURL=OFF -DCZMQ_WITH_NSS=OFF -DCZMQ_WITH_LIBMICROHTTPD=OFF \
        -DCZMQ_BUILD_STATIC=OFF -DBUILD_TESTING=OFF -DENABLE_DRAFTS=OFF
    quietly cmake --build out --target czmq -j "$(nproc)"
    built=out/libczmq.so.4
}

# slim PACKAGE SOURCE LIBRARY HOW
slim() {
    local version
    [ ! -e "$out/$3" ] || return 0
    if [ ! -e sources.list ]; then
        mkdir -p lists/partial
        echo "deb-src http://deb.debian.org/debian bookworm main" >sources.list
        archive update
    fi
    version=$(dpkg-query -W -f '${source:Version}' "$1")
    archive source "$2=$version" >"$work/log"
    cd "$2"-*/
    "$4"
    strip --strip-unneeded -o "$out/$3.part" "$(realpath "$built")"
    mv "$out/$3.part" "$out/$3"
    cd "$work"
}
slim libmicrohttpd12 libmicrohttpd libmicrohttpd.so.12 microhttpd
slim libczmq4 czmq libczmq.so.4 czmq
