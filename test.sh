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
touch "$results/counts"
trap 'rm -rf "$results"' EXIT

# count passed|failed [NUMBER]
count() {
    local number
    for ((number = 0; number < ${2:-1}; number++)); do echo "$1"; done >>"$results/counts"
}

# check NAME COMMAND…: runs it, shows its output only when it fails; how long it took, and of the processors
check() {
    local name=$1 log told TIMEFORMAT="%0R s, %0U + %0S s of processors"
    shift
    log=$(mktemp -p "$results" log.XXXXXX)
    if { time "$@" >"$log" 2>&1; } 2>"$log.time"; then
        count passed
        echo "ok     $name ($(cat "$log.time"))"
    else
        count failed
        told=$(tail -n 60 "$log")
        echo "FAILED $name ($(cat "$log.time"))"$'\n'"$told"
    fi
    rm -f "$log" "$log.time"
}

# own_folder COMMAND…: with temporary files of its own: the folder above them is pytest's, which changes its rights
own_folder() {
    local folder result=0
    folder=$(mktemp -d /tmp/t.XXXXXX)
    PYTEST_DEBUG_TEMPROOT=$folder "$@" || result=$?
    rm -rf --one-file-system "$folder"
    return "$result"
}

# build NAME: of one folder. Behind the tests that run meanwhile
build() {
    local folder=$root/build-$1 compiler=clang options=() targets=(all meson-test-prereq)
    case $1 in
        gcc) compiler=gcc ;;
        clang-asan) options=(-Db_sanitize=address,undefined -Db_lundef=false) ;;
        clang-tsan) options=(-Db_sanitize=thread -Db_lundef=false) ;;
        fuzz) # the rest of it is that of clang-asan
            options=(-Dfuzz=true -Dfuzz_seconds="${FUZZ_SECONDS:-60}" -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link)
            targets=(fuzz-programs) ;;
    esac
    if [ ! -f "$folder/build.ninja" ]; then
        CC=$compiler meson setup "$folder" . -Dwerror=true "${options[@]}" || return 1
    fi
    nice -n 10 ninja -C "$folder" "${targets[@]}"
}

# begin NAME: builds it in the background
begin() {
    check "build $1" build "$1" &
    builder=$!
}

at_once=$(($(nproc) + 1)) # with what builds; most of their time tests wait

# later NAME COMMAND…: checks it in the background as soon as there is room
later() {
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n; done
    check "$@" &
}

# suite FOLDER NAME ARGUMENT…: meson test, with this name for its log. What was skipped was not tried: a failure
suite() {
    meson test -C "$1" --no-rebuild --timeout-multiplier 2 --print-errorlogs --logbase "log-$2" "${@:3}" &&
        ! grep -q '"result": "SKIP"' "$1/meson-logs/log-$2.json"
}

brief_suites=(unit thread lint)

# brief FOLDER: the tests of these suites, in one go, for most take a second; one of them is counted by the caller
brief() {
    local told=$1/meson-logs/log-brief.json passed failed
    rm -f "$told"
    suite "$1" brief --num-processes 2 "${brief_suites[@]/#/--suite=}"
    failed=$?
    passed=$(grep -c '"result": "OK"' "$told")
    count passed $((passed - (failed == 0)))
    count failed $(($(grep -cv '"result": "OK"' "$told") - 1))
    return "$failed"
}

# tests NAME: those of a build folder, the longest first
tests() {
    local folder=$root/build-$1 name
    later "$1: ${brief_suites[*]}" brief "$folder"
    for name in $(meson test -C "$folder" --list --no-rebuild "${brief_suites[@]/#/--no-suite=}" 2>/dev/null | sed 's/.* //'); do
        later "$1: $name" own_folder suite "$folder" "$name" "$name"
    done
}

begin gcc
wait "$builder"
if $quick; then
    tests gcc
else
    begin clang-asan
    tests gcc
    later quickstart env QUICKSTART_BUILD="$(realpath "$root")/build-gcc" ./quickstart.sh
    wait "$builder"
    begin clang-tsan
    tests clang-asan
    wait "$builder"
    begin fuzz
    # GLib is not instrumented: what happens inside it cannot be judged; no second of sleep at the end of each process
    # slices of GLib 2.74 go from thread to thread unseen; as plain memory they do not
    export TSAN_OPTIONS=ignore_noninstrumented_modules=1:atexit_sleep_ms=0 G_SLICE=always-malloc # read as a process starts
    tests clang-tsan
    wait
    for name in $(meson test -C "$root/build-fuzz" --list --no-rebuild --suite fuzz 2>/dev/null | sed 's/.* //'); do # they end by the clock
        check "fuzz: $name" suite "$root/build-fuzz" "$name" "$name" &
    done
fi
wait

passed=$(grep -c passed "$results/counts")
failed=$(grep -c failed "$results/counts")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
