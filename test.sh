#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, builds with gcc and clang (warnings are errors), runs every suite.
# Usage: ./test.sh [--quick]      --quick: gcc only
# FUZZ_SECONDS (60): how long each fuzz target runs. Build folders: build-*/ here, or below $BUILD_ROOT. Last line: N passed, M failed.
set -uo pipefail
cd "$(dirname "$0")"

quick=false
case "${1:-}" in
    "") ;;
    --quick) quick=true ;;
    *) sed -n '3,5s/^# //p' "$0"; exit 2 ;;
esac

./install-deps.sh --test || exit 1
root=${BUILD_ROOT:-.}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# check NAME COMMAND…: runs it, shows its output only when it fails
check() {
    local name=$1 log start=$SECONDS
    shift
    log=$(mktemp -p "$results" log.XXXXXX)
    if "$@" >"$log" 2>&1; then
        mktemp -p "$results" passed.XXXXXX >/dev/null
        echo "ok     $name ($((SECONDS - start)) s)"
    else
        mktemp -p "$results" failed.XXXXXX >/dev/null
        echo "FAILED $name ($((SECONDS - start)) s)"$'\n'"$(tail -n 60 "$log")"
    fi
    rm -f "$log"
}

# own_folder COMMAND…: with temporary files of its own: the folder above them is pytest's, which changes its rights
own_folder() {
    local folder result=0
    folder=$(mktemp -d /tmp/t.XXXXXX)
    PYTEST_DEBUG_TEMPROOT=$folder "$@" || result=$?
    rm -rf --one-file-system "$folder"
    return "$result"
}

# build NAME COMPILER OPTION…
build() {
    local folder=$root/build-$1 compiler=$2
    shift 2
    if [ ! -f "$folder/build.ninja" ]; then
        CC=$compiler meson setup "$folder" . -Dwerror=true "$@" || return 1
    fi
    meson compile -C "$folder" && ninja -C "$folder" meson-test-prereq
}

at_once=2 # most of their time tests wait

# tests NAME [OPTION…]: the tests of a build folder, counted one by one
tests() {
    local folder=$root/build-$1 name
    for name in $(meson test -C "$folder" --list --no-rebuild "${@:2}" 2>/dev/null | sed 's/.* //'); do
        while [ "$(jobs -rp | wc -l)" -ge $at_once ]; do wait -n; done
        check "$1: $name" own_folder meson test -C "$folder" --no-rebuild --print-errorlogs --logbase "log-$name" "$name" &
    done
    wait
}

run() {
    check "build $1" build "$@"
    tests "$1"
}

run gcc gcc
if ! $quick; then
    check quickstart env QUICKSTART_BUILD="$(realpath "$root")/build-gcc" ./quickstart.sh
    run clang-asan clang -Db_sanitize=address,undefined -Db_lundef=false
    # GLib is not instrumented: what happens inside it cannot be judged; no second of sleep at the end of each process
    # slices of GLib 2.74 go from thread to thread unseen; as plain memory they do not
    export TSAN_OPTIONS=ignore_noninstrumented_modules=1:atexit_sleep_ms=0 G_SLICE=always-malloc
    run clang-tsan clang -Db_sanitize=thread -Db_lundef=false
    check "build fuzz" build fuzz clang -Dfuzz=true -Dfuzz_seconds="${FUZZ_SECONDS:-60}" \
        -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link
    at_once=5 # they end by the clock
    tests fuzz --suite fuzz
fi

passed=$(find "$results" -name 'passed.*' | wc -l)
failed=$(find "$results" -name 'failed.*' | wc -l)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
