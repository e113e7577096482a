#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building needs from the distribution (Debian 12 or 13); with --test also what the tests need,
# with --packages what building Debian packages needs, with --image what building and trying the image needs, with
# --postgres a PostgreSQL server to try.
# Does nothing when all is there. Run as root, or with sudo at hand.
set -euo pipefail

packages=(gcc meson ninja-build pkg-config python3 libglib2.0-dev libssl-dev libsqlite3-dev libpq-dev libconfig-dev
          libfuse3-dev fuse3 libjansson-dev libmicrohttpd-dev libsodium-dev libsystemd-dev openssl tzdata)
[ "${1:-}" != --postgres ] || packages+=(postgresql)
[ "${1:-}" != --packages ] || packages+=(build-essential debhelper)
[ "${1:-}" != --image ] || packages+=(buildah mmdebstrap podman postgresql python3-pytest runc)
if [ "${1:-}" = --test ]; then
    packages+=(clang clang-format curl postgresql libclang-rt-14-dev python3-pytest python3-yaml prometheus rsync busybox vim-tiny ed strace
               bash-completion # at a prompt, as people have it
               groff-base systemd # manual pages; units, users and folders are checked with its tools
              build-essential debhelper lintian mmdebstrap systemd-container) # packages are built, and installed in a Debian of their own
    . /etc/os-release
    [ "${VERSION_ID:-12}" = 12 ] || packages=("${packages[@]/libclang-rt-14-dev/libclang-rt-dev}")
fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install-deps.sh: run as root, or install sudo" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
