#!/usr/bin/env bash
# Assent against what one would use in its place, on this machine, in turn (A B A B ...) so that whatever else the machine does
# meets both: etcd with three nodes, two PostgreSQL servers with a two-phase commit by hand, and the disk itself. All sync.
#
#   bench/compare.sh [--seconds S] [--turns T] [--json FILE] [ROW...]      default: 5 seconds, 2 turns, every row
#
# Rows: keys-256 keys-1 sql-32 sql-1 single-64 cross-over-single log. Prints a table of medians and ratios, and writes the figures of
# every turn to FILE (default: compare.json in the build directory). Servers run on loopback, on free ports, in a folder that is
# removed; SCRATCH names where that is made (default: /var/tmp, which is a disk and not memory).
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

seconds=5 turns=2 json="" rows=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --turns) turns=$2; shift 2 ;;
    --json) json=$2; shift 2 ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
    -*) die "$1 is no option; see --help" ;;
    *) rows+=("$1"); shift ;;
  esac
done
[ ${#rows[@]} -gt 0 ] || rows=(keys-256 keys-1 sql-32 sql-1 single-64 cross-over-single log)

packages+=(etcd-server postgresql)
install_packages
build_targets assentd assentctl etcd_puts postgres_two_phase disk_syncs raft_bench
json=${json:-$build/compare.json}
dir=$(mktemp -d "${SCRATCH:-/var/tmp}/assent-compare.XXXXXX")
chmod 755 "$dir"
figures=$dir/figures
started=()
stop() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  "$root/scripts/cluster.sh" stop "$dir/assent" >/dev/null 2>&1 || true
  for side in a b; do [ -d "$dir/servers/$side" ] && postgres_ctl $side -m immediate stop >/dev/null 2>&1; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap stop EXIT

# ---- who takes part ----

free_ports() {  # COUNT: below where Linux hands out ports of its own
  local base try i
  for try in $(seq 100); do
    base=$((20000 + RANDOM % 1000 * 10))
    for i in $(seq 0 $(($1 - 1))); do (exec 3<>"/dev/tcp/127.0.0.1/$((base + i))") 2>/dev/null && continue 2; done
    echo "$base"
    return
  done
  die "found no $1 free ports on 127.0.0.1"
}

start_etcd() {
  local base i peers=""
  base=$(free_ports 6)
  for i in 0 1 2; do peers+="${peers:+,}e$i=http://127.0.0.1:$((base + 3 + i))"; done
  for i in 0 1 2; do
    etcd --name "e$i" --data-dir "$dir/etcd/e$i" --initial-cluster "$peers" --initial-cluster-state new \
      --listen-client-urls "http://127.0.0.1:$((base + i))" --advertise-client-urls "http://127.0.0.1:$((base + i))" \
      --listen-peer-urls "http://127.0.0.1:$((base + 3 + i))" \
      --initial-advertise-peer-urls "http://127.0.0.1:$((base + 3 + i))" >"$dir/etcd-$i.log" 2>&1 &
    started+=($!)
  done
  etcd_endpoints=127.0.0.1:$base,127.0.0.1:$((base + 1)),127.0.0.1:$((base + 2))
  for _ in $(seq 100); do "$bin/etcd_puts" "$etcd_endpoints" 1 1 10 >/dev/null 2>&1 && return; sleep 0.1; done
  die "etcd did not begin to serve: $(tail -n 3 "$dir/etcd-0.log")"
}

pg_bin() { ls -d /usr/lib/postgresql/*/bin | tail -n 1; }
postgres_ctl() {  # SIDE ARGUMENT...: servers refuse to run as root
  local side=$1
  shift
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$(pg_bin)/pg_ctl" -D "$dir/servers/$side" "$@")
  else "$(pg_bin)/pg_ctl" -D "$dir/servers/$side" "$@"; fi
}
start_postgres() {
  local side port
  mkdir "$dir/servers"
  [ "$(id -u)" -eq 0 ] && chown postgres "$dir/servers"
  port=$(free_ports 2)
  postgres=()
  for side in a b; do
    postgres_ctl $side -o "-A trust -U postgres" initdb >/dev/null
    postgres_ctl $side -w -l "$dir/servers/$side.log" -o "-p $port -k $dir/servers -c listen_addresses= \
      -c max_prepared_transactions=300 -c max_connections=300" start >/dev/null
    postgres+=("host=$dir/servers port=$port user=postgres dbname=postgres options=-cclient_min_messages=warning")
    port=$((port + 1))
  done
  mkdir "$dir/decisions"
}

start_assent() {
  "$root/scripts/cluster.sh" start "$dir/assent" >/dev/null
  source "$dir/assent/cluster.env"
}

# ---- what they do: each prints "RATE P50_MILLIS" ----

etcd_run() { "$bin/etcd_puts" "$etcd_endpoints" "$1" "$seconds" 10000 | sed 's/.*puts\/s \([0-9.]*\)  p50 \([0-9.]*\) ms.*/\1 \2/'; }
postgres_run() {
  "$bin/postgres_two_phase" "${postgres[0]}" "${postgres[1]}" "$1" "$seconds" 10000 "$dir/decisions" |
    sed 's/.*transfers\/s \([0-9.]*\)  p50 \([0-9.]*\) ms.*/\1 \2/'
}
number() { grep -o "\"$1\": *[0-9.]*" <<<"$2" | head -n 1 | grep -o '[0-9.]*$'; }
assent_run() {  # CLIENTS ARGUMENT...
  local clients=$1 report
  shift
  report=$("$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --clients "$clients" --warmup 1s \
    --duration "${seconds}s" --accounts 10000 "$@" 2>"$dir/assentctl.log") || die "$(tail -n 3 "$dir/assentctl.log")"
  echo "$(number "$rate_name" "$report") $(awk "BEGIN { print $(number "$p50_name" "$report") / $p50_per_milli }")"
}
keys_run() { rate_name=transfers_per_second p50_name=latency_p50_micros p50_per_milli=1000 assent_run "$1" --workload keys --protocol paxos-commit; }
sql_run() { rate_name=tps p50_name=p50_ms p50_per_milli=1 assent_run "$1" --workload bank --cross-shard "$2" --protocol "$3"; }

median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
middle_of() { awk -v row="$1" -v who="$2" -v column="$3" '$1 == row && $2 == who { print $column }' "$figures" | median; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# row NAME UNIT COLUMN WANTED "ASSENT_COMMAND" OTHER "OTHER_COMMAND": COLUMN 3 is the rate, 4 the median latency.
row() {
  local name=$1 unit=$2 column=$3 wanted=$4 ours=$5 other=$6 theirs=$7 turn a b
  for turn in $(seq "$turns"); do
    echo "$name Assent $($ours)" >>"$figures"
    echo "$name $other $($theirs)" >>"$figures"
  done
  a=$(middle_of "$name" Assent "$column") b=$(middle_of "$name" "$other" "$column")
  printf '%-18s %-14s Assent %10.2f   %-10s %10.2f   ratio %5s   wanted %s\n' "$name" "$unit" "$a" "$other" "$b" "$(ratio "$a" "$b")" "$wanted"
}

log_run() {
  local report
  report=$("$bin/raft_bench" "$dir/raft" "$seconds")
  number bytes_per_sync "$report" >"$dir/batch"
  number entries_per_sync "$report" >"$dir/entries"
  echo "$(number entries_per_second "$report") 0"
}
disk_run() {  # the same batches, and nothing else
  "$bin/disk_syncs" "$dir/disk" "$seconds" "$(cut -d. -f1 "$dir/batch")" |
    awk -v entries="$(cat "$dir/entries")" '{ print $2 * entries, 0 }'
}

: >"$figures"
for one in "${rows[@]}"; do
  case $one in
    keys-* | single-* ) [ -n "${etcd_endpoints:-}" ] || start_etcd ;;&
    sql-*) [ -n "${postgres:-}" ] || start_postgres ;;&
    keys-* | sql-* | single-* | cross-*) [ -n "${ASSENT_ENDPOINTS:-}" ] || start_assent ;;&
    keys-256) row $one transfers/s 3 ">= 1.0" "keys_run 256" etcd "etcd_run 256" ;;
    keys-1) row $one "p50 ms" 4 "<= 0.5" "keys_run 1" etcd "etcd_run 1" ;;
    sql-32) row $one transfers/s 3 ">= 2.0" "sql_run 32 1.0 paxos-commit" PostgreSQL "postgres_run 32" ;;
    sql-1) row $one "p50 ms" 4 "<= 0.6" "sql_run 1 1.0 paxos-commit" PostgreSQL "postgres_run 1" ;;
    single-64) row $one transfers/s 3 ">= 1.0" "sql_run 64 0.0 auto" etcd "etcd_run 64" ;;
    cross-over-single) row $one "p50 ms" 4 "<= 1.15" "sql_run 1 1.0 paxos-commit" one-shard "sql_run 1 0.0 auto" ;;
    log) row $one entries/s 3 ">= 0.5" log_run disk disk_run ;;
    *) die "there is no row $one; see --help" ;;
  esac
done
awk 'BEGIN { print "[" } { printf "%s  {\"row\": \"%s\", \"who\": \"%s\", \"rate\": %s, \"p50_ms\": %s}", (NR > 1 ? ",\n" : ""), $1, $2, $3, $4 }
     END { print "\n]" }' "$figures" >"$json"
say "the figures of every turn: $json"
