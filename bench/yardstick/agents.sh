#!/usr/bin/env bash
# Transfers between two PostgreSQL servers on this machine: through Assent (a cluster of three, an assent-agent before each
# server), and by the yardstick's minimal coordinator, in turn A B A B on the same servers. Each line ends with the microseconds of
# processor that a transfer took of the servers, the agents, the nodes and the client.
#   bench/yardstick/agents.sh [SECONDS] [CLIENTS...]
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"
here=$root/bench/yardstick
seconds=${1:-5}
shift || true
[ $# -gt 0 ] || set -- 1 32
packages+=(postgresql time)
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
# Ticks of processor, 100 a second, that processes and their children have had, those that have ended included.
ticks() {
  local pid sum=0 all=()
  for pid in "$@"; do all+=("$pid" $(pgrep -P "$pid" || true)); done
  for pid in "${all[@]}"; do
    [ -r "/proc/$pid/stat" ] && sum=$((sum + $(awk '{ print $14 + $15 + $16 + $17 }' "/proc/$pid/stat" 2>/dev/null || echo 0)))
  done
  echo "$sum"
}
servers=() nodes=()
for side in a b; do servers+=("$(head -n 1 "$dir/servers/$side/postmaster.pid")"); done
for node in n1 n2 n3; do nodes+=("$(<"$dir/cluster/$node/LOCK")"); done
# NAME COMMAND...: its line, and what each part took for a transfer, by the rate that the line tells.
measured() {
  local name=$1 line before after part
  shift
  before=("$(ticks "${servers[@]}")" "$(ticks "${agents[@]}")" "$(ticks "${nodes[@]}")")
  line=$(\time -f '%U %S' -o "$dir/own" "$@")
  after=("$(ticks "${servers[@]}")" "$(ticks "${agents[@]}")" "$(ticks "${nodes[@]}")")
  echo -n "$name  $line  "
  awk -v line="$line" -v seconds="$seconds" -v servers=$((after[0] - before[0])) -v agents=$((after[1] - before[1])) \
    -v nodes=$((after[2] - before[2])) '{ match(line, /transfers\/s +[0-9.]+/); rate = substr(line, RSTART, RLENGTH); sub(/[^0-9]*/, "", rate)
      done = rate * seconds; printf "us each: servers %.0f agents %.0f nodes %.0f client %.0f\n",
      servers * 1e4 / done, agents * 1e4 / done, nodes * 1e4 / done, ($1 + $2) * 1e6 / done }' "$dir/own"
}
for round in 1 2; do
  for clients in "$@"; do
    measured "Assent      round $round" "$bin/agent_transfers" "$ASSENT_ENDPOINTS" 127.0.0.1:31610 127.0.0.1:31611 "$clients" "$seconds" 10000
    measured "yardstick   round $round" "$dir/direct" "${info[0]}" "${info[1]}" "$clients" "$seconds" 10000
  done
done
