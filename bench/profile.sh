#!/usr/bin/env bash
# Where the servers' time for one transaction goes: a budget in microseconds of processor by part, with system calls,
# syncs, frames, bytes and allocations of one transaction, and a flame graph.
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
build_targets assentd assentctl count_allocations
svg=${svg:-$build/profile.svg}
dir=$(mktemp -d "${SCRATCH:-/var/tmp}/assent-profile.XXXXXX")
load=""
stop() {
  [ -z "$load" ] || kill "$load" 2>/dev/null || true
  "$root/scripts/cluster.sh" stop "$dir/c" >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT

start() {  # [NAME=VALUE...]: for the nodes alone
  env "$@" "$root/scripts/cluster.sh" start "$dir/c" >/dev/null
  source "$dir/c/cluster.env"
  pids=""
  for node in n1 n2 n3; do pids+=${pids:+,}$(<"$dir/c/$node/LOCK"); done
}
start
run() {  # DURATION: the report, as JSON
  "$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload "$workload" --clients "$clients" \
    --accounts 10000 --cross-shard 1.0 --protocol "$protocol" --warmup 1s --duration "$1s"
}
run "$seconds" >"$dir/plain.json"

# What the nodes count themselves, all together: what committed, and the bytes of frames and of the log. A counter of perf, or of
# allocations, is divided by what committed while it counted.
totals() {
  /usr/bin/python3 - "$ASSENT_HTTP" <<'PYTHON'
import sys, urllib.request
sums = {"assent_txn_finished_total": 0.0, "assent_peer_frame_bytes_sent_total": 0.0, "assent_wal_written_bytes_total": 0.0}
for address in sys.argv[1].split(","):
    for line in urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read().decode().splitlines():
        name = line.split("{")[0].split(" ")[0]
        if name in sums and (name != "assent_txn_finished_total" or 'outcome="committed"' in line):
            sums[name] += float(line.rsplit(" ", 1)[1])
print(*(int(value) for value in sums.values()))
PYTHON
}
committed() { totals | cut -d' ' -f1; }
run $((seconds * 2 + 9)) >/dev/null &
load=$!
while before=$(committed); sleep 0.2; [ "$(committed)" -le "$before" ]; do :; done
totals >"$dir/before"
perf stat -x, -e raw_syscalls:sys_enter,context-switches -p "$pids" -o "$dir/stat" -- sleep "$((seconds / 2 + 1))" >&2 || true
totals >"$dir/after"
perf record -q -F 799 --call-graph dwarf,16384 -e cpu-clock -p "$pids" -o "$dir/perf.data" -- sleep "$seconds" >&2 ||
  die "perf may not look at the processes: run as root, or lower kernel.perf_event_paranoid"
wait "$load"
load=""

# Allocations, by nodes that count them (bench/count_allocations.cc): after the rest, since it slows them a little.
"$root/scripts/cluster.sh" stop "$dir/c" >/dev/null
mkdir "$dir/allocations"
start COUNT_ALLOCATIONS_IN="$dir/allocations" LD_PRELOAD="$build/bench/libcount_allocations.so"
allocations() {
  local pid sum=0
  for pid in ${pids//,/ }; do sum=$((sum + $(od -An -tu8 "$dir/allocations/$pid"))); done
  echo "$sum"
}
run 1 >/dev/null  # fills the books
counted=$(committed) allocated=$(allocations)
run 3 >/dev/null
echo $(($(allocations) - allocated)) $(($(committed) - counted)) >"$dir/allocated"

perf script -i "$dir/perf.data" -F comm,ip,sym --no-inline >"$dir/stacks" 2>/dev/null
/usr/bin/python3 "$root/bench/profile_budget.py" --stacks "$dir/stacks" --report "$dir/plain.json" --stat "$dir/stat" \
  --before "$dir/before" --after "$dir/after" --allocations "$dir/allocated" --svg "$svg" --title "$workload, $clients clients, $protocol" ${json:+--json "$json"} $verbose
say "flame graph: $svg"
