#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building needs, builds, and runs what is there: a requester and a server of the protocol
# engine exchange files, in every form of the data FPDUs, over a wire in memory. The daemon and the mount are
# not part of this version yet. Repeatable; leaves only the build folder build-quickstart/.
set -euo pipefail
cd "$(dirname "$0")"

./install-deps.sh
folder=build-quickstart
[ -f $folder/build.ninja ] || meson setup $folder . --buildtype=release >/dev/null
meson compile -C $folder >/dev/null
echo "built in $folder/"
echo "a requester and a server exchange files over a wire in memory:"
$folder/tests/unit/test-session --tap 2>&1 | grep -E '^(ok|not ok|# )' | sed 's/^/    /'
echo "transfers in the store, with its migrations and its group commit:"
$folder/tests/unit/test-store --tap 2>&1 | grep -E '^(ok|not ok)' | sed 's/^/    /'
echo "Next: README.md tells what works and what does not yet; ./test.sh runs every test."
