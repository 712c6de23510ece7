#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: docker/slim.sh FOLDER
#
# Puts a libmicrohttpd without HTTPS there, built from the source of the Debian package that is
# installed: the wall serves metrics in clear text, and Debian's own brings GnuTLS and six more
# libraries along, 7 MB. What is there already stays. Wants gcc, make, dpkg-dev, and the archive.
set -euo pipefail
mkdir -p "$1"
out=$(cd "$1" && pwd)
library=libmicrohttpd.so.12
[ ! -e "$out/$library" ] || exit 0

version=$(dpkg-query -W -f '${source:Version}' libmicrohttpd12)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# An apt of its own: the machine's lists and sources stay as they are. Signatures are checked by
# Debian's keys, as always.
mkdir -p "$work/lists/partial"
echo "deb-src http://deb.debian.org/debian bookworm main" >"$work/sources.list"
archive() {
    apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root "$@"
}
cd "$work"
archive update
archive source "libmicrohttpd=$version" >/dev/null
cd libmicrohttpd-*/
export CFLAGS="-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$work=."
export LDFLAGS="-Wl,-z,relro,-z,now"
./configure -q --prefix=/usr --disable-https --disable-static --disable-doc --disable-examples \
    --disable-curl >"$work/log" 2>&1 || { tail -n 20 "$work/log" && exit 70; }
make -s -j"$(nproc)" -C src/microhttpd libmicrohttpd.la >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" && exit 70; }
cp -L "src/microhttpd/.libs/$library" "$out/$library.part"
strip --strip-unneeded "$out/$library.part"
mv "$out/$library.part" "$out/$library"
echo "libmicrohttpd $version" >"$out/versions"
