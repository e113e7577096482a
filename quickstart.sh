#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building needs, builds, and runs what is there: a pesitd on a free loopback port takes a 10 MB
# payment file from a PeSIT requester, then refuses two others. The mount is not part of this version yet.
# Repeatable; ends what it started and leaves only the build folder build-quickstart/.
set -euo pipefail
cd "$(dirname "$0")"

./install-deps.sh
build=build-quickstart
[ -f $build/build.ninja ] || meson setup $build . --buildtype=release >/dev/null
meson compile -C $build >/dev/null
echo "built in $build/"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -B deploy/quickstart/demo.py "$build" "$folder"
echo "Next: README.md tells what works and what does not yet; ./test.sh runs every test."
