#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A PostgreSQL server of its own, in a folder, on a Unix socket there only; for trying and testing.
# Usage: postgres.sh start FOLDER [-c SETTING=VALUE…]   makes the folder when missing; prints how to connect
#        postgres.sh pid FOLDER                         of the server
#        postgres.sh stop FOLDER                        ends it; the folder stays
# POSTGRES_OWNER: a process id; when that process ends the server is stopped and its folder removed.
# Run as root it becomes the user postgres, which the server insists on.
set -euo pipefail

action=${1:-}
folder=${2:-}
[ -n "$folder" ] || { sed -n '4,7s/^# //p' "$0"; exit 2; }
programs=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$programs" ] || { echo "postgres.sh: there is no PostgreSQL server here" >&2; exit 77; }

as_user=()
[ "$(id -u)" -ne 0 ] || as_user=(setpriv --reuid postgres --regid postgres --clear-groups)

run() { (cd / && "${as_user[@]}" "$programs/$1" "${@:2}"); }

case $action in
    start)
        if [ ! -d "$folder/data" ]; then
            mkdir -p "$folder"
            [ "$(id -u)" -ne 0 ] || chown postgres:postgres "$folder"
            run initdb -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C -N >"$folder.log" 2>&1 ||
                { cat "$folder.log" >&2; exit 1; }
            fresh=true
        fi
        # one that was killed may linger as a zombie, and be taken for alive
        pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null || true)
        [ -z "$pid" ] || ! grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status" || 
            rm -f "$folder/data/postmaster.pid" "$folder"/.s.PGSQL.*
        run pg_ctl -D "$folder/data" -w -s -l "$folder/log" \
            -o "-c unix_socket_directories='$folder' -c listen_addresses='' ${*:3}" start >/dev/null 2>&1 ||
            { cat "$folder/log" >&2; exit 1; }
        [ -z "${fresh:-}" ] || run createdb -h "$folder" -U postgres pesitwizard
        rm -f "$folder.log"
        if [ -n "${fresh:-}" ] && [ -n "${POSTGRES_OWNER:-}" ]; then
            (
                trap '' INT HUP
                tail --pid="$POSTGRES_OWNER" -f /dev/null
                [ ! -d "$folder" ] || { "$0" stop "$folder"; rm -rf "$folder"; }
            ) </dev/null >/dev/null 2>&1 &
        fi
        echo "host=$folder user=postgres dbname=pesitwizard"
        ;;
    pid) head -n 1 "$folder/data/postmaster.pid" ;;
    stop) run pg_ctl -D "$folder/data" -w -s -m immediate stop ;;
    *) sed -n '4,7s/^# //p' "$0"; exit 2 ;;
esac
