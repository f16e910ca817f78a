#!/usr/bin/env bash
# Whether memory grows under a load that does not: the bank on a fresh cluster of three nodes on loopback, and each minute what every node has
# in memory, how many transfers there were, and the size of its data. The books are checked at the end.
#
#   bench/soak.sh [--minutes N] [--clients N] [--every SECONDS]      default: 60 minutes, 4 clients, each minute
#
# A node's memory has parts that fill before they stay: entries of the log since the last snapshot, ids of the last ten minutes
# (txn.retention), the pages that SQLite keeps, and the recorder's ring. "resident" is what the process has, "in use" what its allocator
# has handed out. What counts is the second half: the last lines say by how much its end is above its beginning.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

minutes=60 clients=4 every=60
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=$2; shift 2 ;;
    --clients) clients=$2; shift 2 ;;
    --every) every=$2; shift 2 ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
done
build_targets assentd assentctl
dir=$(mktemp -d "${SCRATCH:-/var/tmp}/assent-soak.XXXXXX")
load=0
stop() {
  [ "$load" = 0 ] || kill "$load" 2>/dev/null || true
  "$root/scripts/cluster.sh" stop "$dir/c" >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT
"$root/scripts/cluster.sh" start "$dir/c" >/dev/null
source "$dir/c/cluster.env"

"$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload bank --clients "$clients" --accounts 10000 \
  --duration "${minutes}m" >"$dir/report.json" 2>"$dir/load.log" &
load=$!

/usr/bin/python3 - "$dir/c" "$ASSENT_HTTP" "$load" "$minutes" "$every" <<'PYTHON'
import os, subprocess, sys, time, urllib.request
folder, addresses, load, minutes, every = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])
nodes = ["n1", "n2", "n3"]

def resident(node):  # MiB
    with open(f"{folder}/{node}.pid") as pid, open(f"/proc/{pid.read().strip()}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

def metrics(address):
    text = urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read().decode()
    return [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]

def committed(told):
    return sum(float(value) for node in told for name, value in node
               if name.startswith("assent_txn_finished_total{") and 'outcome="committed"' in name)

def in_use(told):  # MiB
    return next(float(value) for name, value in told if name == "assent_memory_in_use_bytes") / (1 << 20)

def runs():  # and is no zombie that waits for the shell
    try:
        with open(f"/proc/{load}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

print(" " * 19 + "   resident, MiB           in use, MiB")
print("  minute  transfers" + "".join(f"{node:>7}" for node in nodes + nodes) + "  disk MiB", flush=True)
begun, rows = time.monotonic(), []
while runs():
    at = (time.monotonic() - begun) / 60
    told = [metrics(address) for address in addresses]
    row = [resident(node) for node in nodes] + [in_use(one) for one in told]
    rows.append((at, row))
    disk = subprocess.run(["du", "-sm", folder], capture_output=True, text=True).stdout.split()[0]
    print(f"{at:8.1f}{committed(told):11.0f}" + "".join(f"{one:7.0f}" for one in row) + f"{disk:>10}", flush=True)
    until = time.monotonic() + every
    while runs() and time.monotonic() < until:
        time.sleep(0.2)
middle = min(rows, key=lambda one: abs(one[0] - minutes / 2))[1]
last = rows[-1][1]
grown = [f"{(b / a - 1) * 100:+.1f} %" for a, b in zip(middle, last)]
print("from the middle to the end: resident " + ", ".join(grown[:3]) + "; in use " + ", ".join(grown[3:]))
PYTHON
wait "$load" || die "the load ended badly: $(tail -n 5 "$dir/load.log")"
load=0
