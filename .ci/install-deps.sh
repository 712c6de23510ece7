#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing of the named groups, on Debian 12 and its relatives:
#     .ci/install-deps.sh build test fuzz coverage lint
# With everything there it asks nobody and changes nothing.
set -euo pipefail
tools=$(realpath "$(dirname "$0")/..")/build/tools

packages_of() {
    case $1 in
    build)
        echo gcc libc6-dev cmake ninja-build pkg-config
        echo libzmq3-dev libczmq-dev libsodium-dev libseccomp-dev libjansson-dev libmicrohttpd-dev zlib1g-dev liblzma-dev libbz2-dev
        ;;
    test)
        echo libcmocka-dev python3 python3-zmq python3-pytest python3-jsonschema logrotate libpython3.11-testsuite tzdata python3-nacl tmux python3-yaml mandoc zsh systemd
        # Who looks at the status page. Who reads the metrics is unpacked below.
        echo chromium python3-websocket
        # What the shipped policies are for.
        echo python3-numpy python3-pandas python3-scipy python3-sklearn python3-torch
        echo python3-joblib python3-dill python3-cloudpickle python3-msgpack
        ;;
    fuzz) echo clang libclang-rt-14-dev llvm libpython3-dev afl++ ;;
    coverage) echo gcovr ;;
    lint) echo clang-format clang-tidy cppcheck codespell shellcheck mandoc ;;
    # What the image is made of, and what runs it.
    image-build) echo binutils gcc cmake make dpkg-dev libmicrohttpd12 libczmq4 python3 ;;
    deb) echo binutils dpkg-dev file gzip lintian man-db ;;
    image) echo podman buildah runc util-linux python3 python3-zmq python3-pytest python3-jsonschema ;;
    *) return 1 ;;
    esac
}

wanted=()
for group in "$@"; do
    if ! row=$(packages_of "$group"); then
        echo "install-deps.sh: $group: no such group; name any of build test fuzz coverage lint deb image-build image" >&2
        exit 64
    fi
    read -ra packages <<<"${row//$'\n'/ }"
    wanted+=("${packages[@]}")
done

if ! command -v dpkg-query >/dev/null; then
    echo "install-deps.sh: not a Debian; what these packages hold is needed:" >&2
    echo "    ${wanted[*]}" >&2
    exit 0 # CMake names the first one that is really missing
fi

missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done

as_root=()
if [ "$(id -u)" -ne 0 ] && [ ${#missing[@]} -gt 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps.sh: not root, and there is no sudo; as root, run" >&2
        echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 77
    fi
    as_root=(sudo)
fi

# Another apt may hold the lock for a while (unattended-upgrades); wait for it.
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}
install_missing() {
    apt install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Programs of packages that would start a server on installation; without them the tests that
# want them say that they are skipped.
unpack() {
    local package=$1 folder
    shift
    [ ! -x "$tools/$1" ] || return 0
    folder=$(mktemp -d)
    echo "Unpacking the Debian package $package into $tools"
    if (cd "$folder" && { apt-get -qq download "$package" 2>/dev/null || apt-get -qq download "$package"; } &&
        dpkg-deb -x "$package"_*.deb .); then
        mkdir -p "$tools"
        (cd "$folder/usr/bin" && cp "$@" "$tools")
    fi
    rm -rf "$folder"
}

if [ ${#missing[@]} -gt 0 ]; then
    echo "Installing Debian packages: ${missing[*]}"
    # Package lists that are absent or old are the usual reason for a failure: fetch, try once more.
    install_missing 2>/dev/null || { apt update && install_missing; }
fi
if [[ " $* " == *" test "* ]]; then
    unpack prometheus prometheus promtool
fi
