#!/usr/bin/env bash
# The order example: three services in three languages, each with a database of its own, and a shop whose orders happen
# at all of them or at none.
#
#   examples/order_service/example.sh start DIR           starts a cluster, PostgreSQL, MariaDB and the services, in DIR
#   examples/order_service/example.sh try DIR [SECONDS]   customers buy while services and the coordinator's leader are
#                                                         killed; then all books must agree
#   examples/order_service/example.sh books DIR           what the services' books say
#   examples/order_service/example.sh stop DIR            ends all of it; the data stays
#
# Ports are free ones, chosen at the first start. As root the databases run as postgres and mysql.
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"
here=$root/examples/order_service
services=(order payment inventory)
stock=100000
funds=100000000
python=/usr/bin/python3  # Debian's, which has Debian's modules

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# run_as USER COMMAND...: as that user when this is root, who may not run a database.
run_as() {
  local user=$1
  shift
  if [ "$(id -u)" -eq 0 ]; then runuser -u "$user" -- "$@"; else "$@"; fi
}

# background NAME COMMAND...: a process of its own, its output in DIR/NAME.log, its number in DIR/NAME.pid.
background() {
  local name=$1
  shift
  setsid "$@" >>"$dir/$name.log" 2>&1 </dev/null &
  echo $! >"$dir/$name.pid"
  disown  # or the shell tells of its end
}

running() { [ -f "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }

# wait_for WHAT COMMAND...: until the command succeeds.
wait_for() {
  local what=$1 i
  shift
  for i in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  die "$what did not come up; see the logs in $dir"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

folder_for() {
  mkdir -p "$dir/$2"
  [ "$(id -u)" -eq 0 ] || return 0
  chmod 711 "$dir"
  chown "$1" "$dir/$2"
  run_as "$1" test -w "$dir/$2" || die "$1 cannot write to $dir/$2: choose a folder whose parents others may enter, as one below /tmp"
}

start_postgres() {
  running postgres && return
  local postgres
  postgres=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
  folder_for postgres postgres
  if [ ! -f "$dir/postgres/data/PG_VERSION" ]; then
    run_as postgres "$postgres/initdb" -D "$dir/postgres/data" -A trust -U postgres -E UTF8 --locale=C >>"$dir/postgres.log" 2>&1
  fi
  background postgres "$(command -v bash)" -c "$(declare -f run_as); run_as postgres $postgres/postgres -D $dir/postgres/data \
    -p $postgres_port -k $dir/postgres -c listen_addresses=127.0.0.1"
  wait_for PostgreSQL "$postgres/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -c 'SELECT 1'
  "$postgres/psql" -q -h 127.0.0.1 -p "$postgres_port" -U postgres -tc "SELECT 1 FROM pg_database WHERE datname = 'payment'" |
    grep -q 1 || "$postgres/psql" -q -h 127.0.0.1 -p "$postgres_port" -U postgres -c 'CREATE DATABASE payment'
}

start_mariadb() {
  running mariadb && return
  local PATH=$PATH:/usr/sbin
  folder_for mysql mariadb
  if [ ! -d "$dir/mariadb/data/mysql" ]; then
    run_as mysql env TMPDIR="$dir/mariadb" mariadb-install-db --no-defaults --datadir="$dir/mariadb/data" --skip-test-db \
      --auth-root-authentication-method=normal >>"$dir/mariadb.log" 2>&1
  fi
  background mariadb "$(command -v bash)" -c "$(declare -f run_as); run_as mysql mariadbd --no-defaults --datadir=$dir/mariadb/data --tmpdir=$dir/mariadb \
    --port=$mariadb_port --socket=$dir/mariadb/socket --pid-file=$dir/mariadb/server.pid --bind-address=127.0.0.1 --skip-name-resolve"
  wait_for MariaDB mariadb -h 127.0.0.1 -P "$mariadb_port" -u root -e 'SELECT 1'
  mariadb -h 127.0.0.1 -P "$mariadb_port" -u root -e 'CREATE DATABASE IF NOT EXISTS inventory CHARACTER SET utf8mb4'
}

start_service() {
  running "$1" && return
  case $1 in
    order) background order "$bin/order-service" --listen "127.0.0.1:$order_port" --database "$dir/orders.db" --endpoints "$ASSENT_ENDPOINTS" ;;
    payment) background payment env PYTHONPATH="$build/python" "$python" "$here/payment/payment.py" --database "$payment_database" \
      --open 100 --funds "$funds" --listen "127.0.0.1:$payment_port" --cluster "$ASSENT_ENDPOINTS" ;;
    inventory) background inventory node "$here/inventory/dist/inventory.js" --database "$inventory_database" \
      --open 5 --stock "$stock" --listen "127.0.0.1:$inventory_port" --endpoints "$ASSENT_ENDPOINTS" ;;
  esac
  local port=$1_port
  wait_for "the $1 service" listens "${!port}"
}

kill_service() {
  kill -9 -- "-$(cat "$dir/$1.pid")" 2>/dev/null || true
  rm -f "$dir/$1.pid"
}

load() {
  [ -f "$dir/example.env" ] || die "nothing was started in $dir"
  . "$dir/example.env"
  . "$dir/cluster/cluster.env"
  payment_database="host=127.0.0.1 port=$postgres_port user=postgres dbname=payment"
  inventory_database="mysql://root@127.0.0.1:$mariadb_port/inventory"
}

start() {
  want_services
  install_packages
  build_targets assentd assentctl order-service shop
  "$root/clients/python/generate.sh" "$build/python" >&2
  "$here/inventory/setup.sh" >&2
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if [ ! -f "$dir/example.env" ]; then
    for name in postgres mariadb "${services[@]}"; do echo "${name}_port=$(free_port)"; done >"$dir/example.env"
  fi
  "$root/scripts/cluster.sh" start "$dir/cluster" >/dev/null
  load
  start_postgres
  start_mariadb
  for name in "${services[@]}"; do start_service "$name"; done
  say "order on 127.0.0.1:$order_port, payment on 127.0.0.1:$payment_port, inventory on 127.0.0.1:$inventory_port; logs in $dir"
}

orders() { "$bin/order-service" --audit --database "$dir/orders.db"; }

books() {
  orders
  env PYTHONPATH="$build/python" "$python" "$here/payment/payment.py" --database "$payment_database" --books
  node "$here/inventory/dist/inventory.js" --database "$inventory_database" --audit
}

# Nothing is under way, and all three say the same.
agree() {
  books | "$python" -c '
import json, sys
order, payment, inventory = (json.loads(line) for line in sys.stdin if line.startswith("{"))
open_ = order["pending"] + payment["reserved"] + inventory["reserved"]
same = order["amount"] == payment["captured"] == payment["captured_by_payments"] and order["quantity"] == inventory["sold"]
print(json.dumps({"orders": order["placed"], "amount": order["amount"], "captured": payment["captured"],
                  "quantity": order["quantity"], "sold": inventory["sold"], "open": open_, "agree": same}))
sys.exit(0 if same and open_ == 0 else 1)'
}

leader() { "$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" cluster status 2>/dev/null | awk '$1 == "c0" { print $3 }'; }

try() {
  local seconds=${1:-20} name node end before shop status=0
  before=$(orders)
  "$bin/shop" --endpoints "$ASSENT_ENDPOINTS" --order "127.0.0.1:$order_port" --payment "127.0.0.1:$payment_port" \
    --inventory "127.0.0.1:$inventory_port" --seconds "$seconds" >"$dir/shop.json" 2>"$dir/shop.log" &
  shop=$!
  end=$(($(date +%s) + seconds))
  while [ "$(date +%s)" -lt "$end" ]; do
    for name in "${services[@]}"; do
      sleep 1  # of undisturbed business
      say "killing $name"
      kill_service "$name"
      start_service "$name"
    done
    node=$(leader)
    if [ -n "$node" ] && [ "$node" != - ]; then
      say "killing $node, which leads the coordinator"
      "$root/scripts/cluster.sh" kill-node "$dir/cluster" "$node" >/dev/null
      sleep 1
      "$root/scripts/cluster.sh" start-node "$dir/cluster" "$node" >/dev/null
    fi
  done
  wait $shop || status=$?
  say "the shop: $(cat "$dir/shop.json")"
  [ "$status" -eq 0 ] || die "the shop does not know what came of some orders"
  # What a killed leader left is ended when the services ask, some ten seconds later.
  wait_for "agreement of the books" agree
  agree
  "$python" - "$dir/shop.json" "$before" "$(orders)" <<'PY' || die "the order service has other orders than the shop placed"
import json, sys
shop, before, after = json.load(open(sys.argv[1])), json.loads(sys.argv[2]), json.loads(sys.argv[3])
sys.exit(0 if after["placed"] - before["placed"] == shop["placed"] > 0 else 1)
PY
}

stop() {
  for name in "${services[@]}" mariadb postgres; do
    running "$name" || continue
    kill -TERM -- "-$(cat "$dir/$name.pid")" 2>/dev/null || true
    for i in $(seq 100); do running "$name" || break; sleep 0.1; done
    kill_service "$name"
  done
  "$root/scripts/cluster.sh" stop "$dir/cluster" >/dev/null || true
}

[ $# -ge 2 ] || usage
dir=$2
case $1 in
  start) start ;;
  try) load; try "${3:-}" ;;
  books) load; books ;;
  stop) load; stop ;;
  *) usage ;;
esac
