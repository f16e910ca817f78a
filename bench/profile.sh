#!/usr/bin/env bash
# Where the servers' time for one transaction goes: a budget in microseconds of processor by part, with system calls,
# syncs, frames and allocations of one transaction, and a flame graph.
#
#   bench/profile.sh [--workload keys|bank|hot] [--clients N] [--seconds S] [--protocol P] [--svg FILE] [--json FILE] [--verbose]
#
# default: bank, 32 clients, 10 seconds, the protocol that auto picks; the graph goes to profile.svg in the build directory. A cluster
# of three nodes is started on loopback, loaded, looked at with perf (Debian's linux-perf) while it works, and removed. The
# microseconds of a part are the servers' own count of their time for a transaction, from a window without perf, times the part's share
# of the samples: so sampling slows what it looks at, but does not inflate the sum.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

workload=bank clients=32 seconds=10 protocol=auto svg="" json="" verbose=""
while [ $# -gt 0 ]; do
  case $1 in
    --workload) workload=$2; shift 2 ;;
    --clients) clients=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --protocol) protocol=$2; shift 2 ;;
    --svg) svg=$2; shift 2 ;;
    --json) json=$2; shift 2 ;;
    --verbose) verbose=--verbose; shift ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
    *) die "$1 is no option; see --help" ;;
  esac
done
packages+=(linux-perf)
install_packages
build_targets assentd assentctl
svg=${svg:-$build/profile.svg}
dir=$(mktemp -d "${SCRATCH:-/var/tmp}/assent-profile.XXXXXX")
load=""
stop() {
  [ -z "$load" ] || kill "$load" 2>/dev/null || true
  "$root/scripts/cluster.sh" stop "$dir/c" >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT

"$root/scripts/cluster.sh" start "$dir/c" >/dev/null
source "$dir/c/cluster.env"
pids=""
for node in n1 n2 n3; do pids+=${pids:+,}$(<"$dir/c/$node/LOCK"); done
run() {  # DURATION: the report, as JSON
  "$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload "$workload" --clients "$clients" \
    --accounts 10000 --cross-shard 1.0 --protocol "$protocol" --warmup 1s --duration "$1s"
}
run "$seconds" >"$dir/plain.json"

# A counter of perf while the load runs, divided by what committed meanwhile: the nodes count that themselves.
committed() {
  local address sum=0 one
  for address in ${ASSENT_HTTP//,/ }; do
    one=$(/usr/bin/python3 -c 'import sys, urllib.request
text = urllib.request.urlopen(f"http://{sys.argv[1]}/metrics", timeout=10).read().decode()
print(int(sum(float(line.split()[-1]) for line in text.splitlines()
              if line.startswith("assent_txn_finished_total{") and "outcome=\"committed\"" in line)))' "$address")
    sum=$((sum + one))
  done
  echo "$sum"
}
run $((seconds * 2 + 6)) >/dev/null &
load=$!
while before=$(committed); sleep 0.2; [ "$(committed)" -le "$before" ]; do :; done
before=$(committed)
perf stat -x, -e raw_syscalls:sys_enter,context-switches -p "$pids" -o "$dir/stat" -- sleep "$((seconds / 2 + 1))" >&2 || true
echo $(($(committed) - before)) >"$dir/counted"
perf record -q -F 799 --call-graph dwarf,16384 -e cpu-clock -p "$pids" -o "$dir/perf.data" -- sleep "$seconds" >&2 ||
  die "perf may not look at the processes: run as root, or lower kernel.perf_event_paranoid"
wait "$load"
load=""
perf script -i "$dir/perf.data" -F comm,ip,sym --no-inline >"$dir/stacks" 2>/dev/null
/usr/bin/python3 "$root/bench/profile_budget.py" --stacks "$dir/stacks" --report "$dir/plain.json" --stat "$dir/stat" \
  --transactions "$(<"$dir/counted")" --svg "$svg" --title "$workload, $clients clients, $protocol" ${json:+--json "$json"} $verbose
say "flame graph: $svg"
