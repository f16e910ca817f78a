#!/usr/bin/env bash
# The yardstick: two PostgreSQL servers on this machine, transfers by two-phase commit from the client (see the .cc).
#   bench/yardstick/postgres.sh [SECONDS] [CLIENTS...]      needs: apt-get install postgresql libpq-dev
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seconds=${1:-5}
shift || true
[ $# -gt 0 ] || set -- 1 32
bindir=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
dir=$(mktemp -d /tmp/assent-yardstick.XXXXXX)
as_postgres() { if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }
[ "$(id -u)" -eq 0 ] && chown postgres "$dir"
stop() { for side in a b; do as_postgres "$bindir/pg_ctl" -D "$dir/$side" -m immediate stop >/dev/null 2>&1 || true; done; rm -rf "$dir"; }
trap stop EXIT
port=31500
info=()
for side in a b; do
  as_postgres "$bindir/initdb" -D "$dir/$side" -A trust -U postgres >/dev/null
  as_postgres "$bindir/pg_ctl" -D "$dir/$side" -w -l "$dir/$side.log" \
    -o "-p $port -k $dir -c listen_addresses=127.0.0.1 -c max_prepared_transactions=300 -c max_connections=300" start >/dev/null
  info+=("host=127.0.0.1 port=$port user=postgres dbname=postgres")
  port=$((port + 1))
done
g++ -std=c++20 -O2 -o "$dir/run" "$here/postgres_two_phase.cc" -I"$(pg_config --includedir)" -lpq -pthread
for clients in "$@"; do "$dir/run" "${info[0]}" "${info[1]}" "$clients" "$seconds" 10000; done
