#!/usr/bin/env bash
# The bank with one account in PostgreSQL: a cluster of three, a PostgreSQL server and an assent-agent before it, all on
# free ports and in a temporary directory; ends them again.
#   examples/bank/postgres.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"
install_packages
build_targets assentd assentctl assent-agent bank
bindir=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
dir=$(mktemp -d /tmp/assent-bank.XXXXXX)
agent=
# A server of PostgreSQL's does not run as root.
as_postgres() { if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }
stop() {
  [ -n "$agent" ] && kill "$agent" 2>/dev/null && wait "$agent" 2>/dev/null
  "$root/scripts/cluster.sh" stop "$dir/cluster" >/dev/null 2>&1
  as_postgres "$bindir/pg_ctl" -D "$dir/server/data" -m immediate stop >/dev/null 2>&1
  rm -rf "$dir"
}
trap stop EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

mkdir "$dir/server"
chmod 755 "$dir"
[ "$(id -u)" -ne 0 ] || chown postgres "$dir/server"
port=$(free_port)
as_postgres "$bindir/initdb" -D "$dir/server/data" -A trust -U postgres >/dev/null
as_postgres "$bindir/pg_ctl" -D "$dir/server/data" -w -l "$dir/server/log" \
  -o "-p $port -k $dir/server -c listen_addresses=127.0.0.1 -c max_prepared_transactions=100" start >/dev/null
"$root/scripts/cluster.sh" start "$dir/cluster" >/dev/null
source "$dir/cluster/cluster.env"
export ASSENT_ENDPOINTS
agent_port=$(free_port)
"$bin/assent-agent" --name accounts --database "postgres://postgres@127.0.0.1:$port/postgres" \
  --listen "127.0.0.1:$agent_port" 2>"$dir/agent.log" &
agent=$!
for _ in $(seq 100); do answers "$agent_port" && break; sleep 0.1; done
"$bin/bank" --postgres "accounts@127.0.0.1:$agent_port"
as_postgres "$bindir/psql" -h 127.0.0.1 -p "$port" -U postgres -c "SELECT owner, balance FROM example_accounts"
