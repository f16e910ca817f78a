#!/usr/bin/env bash
# What recording costs at full load: the bank workload on one cluster, whose nodes record in one window and not in the next (A B A B ...),
# so that nothing else differs, not even the processes. Neighbours are compared as pairs, in both orders, because the machine is not as
# fast at any time; what is printed is the median of the pairs' ratios with its middle half. The processors' time of the servers for each
# commit says more than the rate on a machine that has other things to do. On one that is never quiet the third figure says most: of all
# samples of the servers' time under load, how many lie below the recorder and what goes through its records (perf; nothing is said where it is missing).
#
#   scripts/measure-recording.sh [PAIRS] [SECONDS]     default: 20 pairs of windows of 4 seconds each; 0 pairs: the third figure alone
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pairs=${1:-20} seconds=${2:-4}
dir=$(mktemp -d)
trap '"$root/scripts/cluster.sh" stop "$dir/c"; rm -rf "$dir"' EXIT

build_targets assentd assentctl
token=measure-recording-$RANDOM$RANDOM
echo "$token" >"$dir/tokens"
"$root/scripts/cluster.sh" start "$dir/c" >/dev/null
"$root/scripts/cluster.sh" stop "$dir/c"
for node in n1 n2 n3; do
  printf 'dev: { faults: on }\nauth: { admin_tokens_file: "%s" }\n' "$dir/tokens" >>"$dir/c/$node.yaml"
done
"$root/scripts/cluster.sh" start "$dir/c" >/dev/null
source "$dir/c/cluster.env"

recording() { # true or false
  local address
  for address in ${ASSENT_HTTP//,/ }; do
    /usr/bin/python3 - "$address" "$token" "$1" <<'PYTHON'
import sys, urllib.request
address, token, on = sys.argv[1:]
request = urllib.request.Request(f"http://{address}/api/v1/dev/faults", data=b'{"recording": %s}' % on.encode(),
                                 headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
urllib.request.urlopen(request, timeout=10).read()
PYTHON
  done
}
# The number behind a name in a JSON document of one line or many.
figure() { grep -o "\"$1\": *[0-9.]*" | head -n 1 | grep -o '[0-9.]*$'; }
window() { # true or false: one line, rate and microseconds
  local report
  recording "$1"
  report=$("$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload bank --clients 32 \
    --warmup 1s --duration "${seconds}s")
  echo "$(figure tps <<<"$report") $(figure server_cpu_us_per_txn <<<"$report")"
}

# Of what the three processes do meanwhile, the share of the recorder with all that it calls.
profile() {
  command -v perf >/dev/null || { say "there is no perf: no share is measured"; return; }
  local pids="" node
  recording true
  "$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload bank --clients 32 --warmup 1s \
    --duration "$((profile_seconds + 6))s" >/dev/null &
  local load=$!
  sleep 4 # until the load has begun; nothing waits for it
  for node in n1 n2 n3; do pids+=${pids:+,}$(<"$dir/c/$node/LOCK"); done
  perf record -q -F 499 --call-graph dwarf,8192 -e cpu-clock -p "$pids" -o "$dir/perf.data" -- sleep "$profile_seconds" >&2 ||
    { say "perf may not look: no share is measured"; wait "$load"; return; }
  wait "$load"
  perf script -i "$dir/perf.data" -F comm,ip,sym --no-inline 2>/dev/null >"$dir/perf.txt"
  /usr/bin/python3 - "$dir/perf.txt" <<'PYTHON'
import math, sys
stacks = [block for block in open(sys.argv[1]).read().split("\n\n") if block.count("\n") > 0]
share = sum("assent::Recorder::" in block or "assent::SpanCollector::" in block for block in stacks) / max(1, len(stacks))
error = 2 * math.sqrt(share * (1 - share) / max(1, len(stacks)))
print(f"of the servers' time the recorder has  {100 * share:5.2f} %   +- {100 * error:.2f}, of {len(stacks)} samples")
PYTHON
}
profile_seconds=30

window true >/dev/null # caches, connections, SQLite's pages
for pair in $(seq "$pairs"); do
  if [ $((pair % 2)) -eq 1 ]; then
    on=$(window true) off=$(window false)
  else
    off=$(window false) on=$(window true)
  fi
  echo "$on $off" | tee -a "$dir/pairs" | awk -v n="$pair" \
    '{ printf "pair %2d  recording: %7.1f commits/s %6.1f us each   not: %7.1f commits/s %6.1f us each\n", n, $1, $2, $3, $4 }'
done
[ "$pairs" -lt 2 ] || /usr/bin/python3 - "$dir/pairs" <<'PYTHON'
import statistics, sys
pairs = [[float(x) for x in line.split()] for line in open(sys.argv[1])]
def said(name, ratios):
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{name:34} {100 * (middle - 1):+6.2f} %   middle half of {len(ratios)} pairs: {100 * (low - 1):+.2f} % to {100 * (high - 1):+.2f} %")
said("recording changes the rate by", [on / off for on, _, off, _ in pairs])
said("and the servers' time per commit by", [on / off for _, on, _, off in pairs])
PYTHON
profile
