#!/usr/bin/env bash
# Transfers between two PostgreSQL servers on this machine: through Assent (a cluster of three, an assent-agent before each
# server), and by the yardstick's minimal coordinator, in turn A B A B on the same servers.
#   bench/yardstick/agents.sh [SECONDS] [CLIENTS...]
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"
here=$root/bench/yardstick
seconds=${1:-5}
shift || true
[ $# -gt 0 ] || set -- 1 32
packages+=(postgresql)
install_packages
build_targets assentd assentctl assent-agent agent_transfers
bindir=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
dir=$(mktemp -d /tmp/assent-agents.XXXXXX)
as_postgres() { if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }
mkdir "$dir/servers"
chmod 755 "$dir"
[ "$(id -u)" -eq 0 ] && chown postgres "$dir/servers"
agents=()
stop() {
  for agent in "${agents[@]}"; do kill "$agent" 2>/dev/null || true; done
  wait 2>/dev/null || true
  "$root/scripts/cluster.sh" stop "$dir/cluster" >/dev/null 2>&1 || true
  for side in a b; do as_postgres "$bindir/pg_ctl" -D "$dir/servers/$side" -m immediate stop >/dev/null 2>&1 || true; done
  rm -rf "$dir"
}
trap stop EXIT
port=31600
info=()
for side in a b; do
  as_postgres "$bindir/initdb" -D "$dir/servers/$side" -A trust -U postgres >/dev/null
  as_postgres "$bindir/pg_ctl" -D "$dir/servers/$side" -w -l "$dir/servers/$side.log" \
    -o "-p $port -k $dir/servers -c listen_addresses=127.0.0.1 -c max_prepared_transactions=300 -c max_connections=300" start >/dev/null
  info+=("host=127.0.0.1 port=$port user=postgres dbname=postgres")
  port=$((port + 1))
done
g++ -std=c++20 -O2 -o "$dir/direct" "$here/postgres_two_phase.cc" -I"$(pg_config --includedir)" -lpq -pthread
"$root/scripts/cluster.sh" start "$dir/cluster" >/dev/null
source "$dir/cluster/cluster.env"
"$dir/direct" "${info[0]}" "${info[1]}" 1 1 10000 >/dev/null  # makes the tables
for side in a b; do
  number=$([ $side = a ] && echo 0 || echo 1)
  "$bin/assent-agent" --name $side --database "postgres://postgres@127.0.0.1:$((31600 + number))/postgres" \
    --listen "127.0.0.1:$((31610 + number))" --endpoints "$ASSENT_ENDPOINTS" 2>"$dir/agent-$side.log" &
  agents+=($!)
done
for number in 0 1; do
  for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$((31610 + number))") 2>/dev/null && break; sleep 0.1; done
done
for round in 1 2; do
  for clients in "$@"; do
    echo -n "Assent      round $round  "
    "$bin/agent_transfers" "$ASSENT_ENDPOINTS" 127.0.0.1:31610 127.0.0.1:31611 "$clients" "$seconds" 10000
    echo -n "yardstick   round $round  "
    "$dir/direct" "${info[0]}" "${info[1]}" "$clients" "$seconds" 10000
  done
done
