#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building needs, builds, and runs the main job on this machine: COMPANY, with a mount, and BANK1,
# behind TLS. A payment file leaves by cp, a statement arrives by cat, a file that the bank does not want is refused.
# Usage: ./quickstart.sh [--keep] [--postgres]
#   --keep      leaves all running and says how to play with it
#   --postgres  both sides keep their store in a PostgreSQL that is started for it, in a folder of its own
# Repeatable; without --keep it unmounts and ends what it started and leaves only build-quickstart/.
set -euo pipefail
cd "$(dirname "$0")"

keep=false
postgres=false
for option in "$@"; do
    case $option in
        --keep) keep=true ;;
        --postgres) postgres=true ;;
        *) sed -n '3,8s/^# //p' "$0"; exit 2 ;;
    esac
done

say() { printf '\n== %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

if $postgres; then ./install-deps.sh --postgres; else ./install-deps.sh; fi
build=${QUICKSTART_BUILD:-$PWD/build-quickstart} # test.sh has built already
quick=$PWD/deploy/quickstart
[ -f "$build/build.ninja" ] || meson setup "$build" . --buildtype=release >/dev/null
meson compile -C "$build" >/dev/null
[ -c /dev/fuse ] || { echo "quickstart.sh: this machine has no /dev/fuse: the mount needs it" >&2; exit 1; }
PATH=$build/daemon:$build/pesitfs:$build/pesitctl:$PATH
here=$(mktemp -d /tmp/pesitfs-quickstart.XXXXXX)
mkdir "$here/bank" "$here/company" "$here/mnt"
pids=()

stop() {
    local pid
    for pid in "${pids[@]}"; do # the mount first
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    done
    ! mountpoint -q "$here/mnt" || umount -l "$here/mnt"
    ! $postgres || "$quick/postgres.sh" stop "$here/postgres" || true
    rm -rf "$here"
}
trap stop EXIT

# start LOG PROGRAM…: starts it and returns when it says that it is ready
start() {
    local log=$1
    shift
    mkfifo "$here/ready"
    "$@" --ready-fd 3 3>"$here/ready" 2>>"$log" &
    pids=($! "${pids[@]}")
    grep -q READY "$here/ready" || { echo "quickstart.sh: $1 did not start:" >&2; cat "$log" >&2; exit 1; }
    rm "$here/ready"
}

say "a certificate for BANK1, signed by an authority that COMPANY trusts"
(
    cd "$here"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=Quickstart authority" \
        -keyout authority.key -out authority.pem
    openssl req -newkey rsa:2048 -nodes -subj "/CN=BANK1" -keyout bank/key.pem -out bank/request.pem
    openssl x509 -req -in bank/request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName=IP:127.0.0.1") -out bank/certificate.pem
) >"$here/openssl.log" 2>&1 || { cat "$here/openssl.log" >&2; exit 1; }

paths='paths: { spool = "spool"; inbox = "inbox"; socket = "door"; };'
store='store: { path = "store.db"; };'
if $postgres; then
    chmod 711 "$here" # the server runs as another user
    conninfo=$("$quick/postgres.sh" start "$here/postgres")
    store="store: { backend = \"postgres\"; conninfo = \"$conninfo\"; schema = \"cluster_SIDE\"; };"
    echo "PostgreSQL answers at: $conninfo"
fi
cat >"$here/bank/pesitd.conf" <<END
node = "BANK1";
$paths ${store/SIDE/bank}
listeners = ( { address = "127.0.0.1"; port = 0; tls: { certificate = "certificate.pem"; key = "key.pem"; }; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "virements/*"; mode = "receive"; },
            { pattern = "releves/*"; mode = "offer"; format = "text"; file_name = "{name}"; } ); } );
END
start "$here/bank/log" pesitd --config "$here/bank/pesitd.conf"
port=$(pesitctl --socket "$here/bank/door" --json status |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["listeners"][0]["port"])')
echo "BANK1 listens on 127.0.0.1 port $port, with TLS"

cat >"$here/company/pesitd.conf" <<END
node = "COMPANY";
$paths ${store/SIDE/company}
partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = $port;
  tls: { enabled = true; authorities = "../authority.pem"; };
  files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 60; },
            { pattern = "autres/*"; mode = "send"; ack = "sent"; file_type = 9; },
            { pattern = "releves/*"; mode = "fetch"; format = "text"; file_name = "RELEVE.{date}"; } ); } );
END
start "$here/company/log" pesitd --config "$here/company/pesitd.conf"
start "$here/company/mount.log" pesitfs --socket "$here/company/door" --foreground "$here/mnt"
echo "COMPANY has mounted its partners at $here/mnt"

python3 -B deploy/quickstart/generate.py pain.001 $((10 << 20)) "$here/virement.xml"
python3 -B deploy/quickstart/generate.py cfonb120 $((1 << 20)) "$here/releve.txt"
cd "$here"

say "COMPANY sends a payment file of 10 MB: cp returns when BANK1 has acknowledged it"
run cp virement.xml mnt/BANK1/out/ || { cat company/log >&2; exit 1; }
run sha256sum virement.xml bank/inbox/COMPANY/virements/virement.xml
cmp virement.xml bank/inbox/COMPANY/virements/virement.xml

say "BANK1 offers today's statement; COMPANY reads it, as text records"
pesitctl --socket bank/door send COMPANY releve.txt "releves/RELEVE.$(date -u +%Y%m%d)" >/dev/null
printf '$ cat mnt/BANK1/releves/today > today.txt\n'
cat mnt/BANK1/releves/today >today.txt
run sha256sum releve.txt today.txt
cmp releve.txt today.txt

say "COMPANY sends a kind of file that BANK1 does not know"
code=0
run cp virement.xml mnt/BANK1/autres/ || code=$?
echo "cp ended with $code; why:"
run python3 -c 'import os; print(os.getxattr("mnt/BANK1/autres/virement.xml", "user.pesit.error").decode())'
[ "$code" -ne 0 ]

say "the history of both sides"
run pesitctl --socket company/door transfers
run pesitctl --socket bank/door transfers

if $keep; then
    trap - EXIT
    say "left running"
    stop_postgres=
    ! $postgres || stop_postgres="$quick/postgres.sh stop $here/postgres;"
    cat <<END
Play:  cd $here
       cp FILE mnt/BANK1/out/          sends        ls -l mnt/BANK1/out    what was sent
       cat mnt/BANK1/releves/today     fetches      tail -f company/log bank/log
       $build/pesitctl/pesitctl --socket $here/company/door --help
Stop:  kill ${pids[*]}; $stop_postgres rm -r $here
END
else
    say "all well; everything is stopped and unmounted"
fi
