#!/usr/bin/env bash
# What recording costs at full load: one load of the bank on one cluster, whose nodes record in one window and not in the next, so that nothing
# else differs, not even the processes. Neighbours are compared as pairs, in both orders, because the machine is not as fast at any time; what is
# printed is the mean of the pairs' ratios with twice its standard error, for the rate and for the servers' processor time of a call, which says more
# on a machine that has other things to do. The third figure: of all samples of the servers' time under load, how many lie below the
# recorder and what goes through its records (perf; nothing is said where it is missing).
#
#   scripts/measure-recording.sh [PAIRS] [SECONDS]     default: 100 pairs of windows of 1 second each; 0 pairs: the third figure alone
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pairs=${1:-100} seconds=${2:-1}
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
# Toggles while a load runs, reads what every node counts of itself at both ends of each window, and compares.
compare() {
  /usr/bin/python3 - "$ASSENT_HTTP" "$token" "$pairs" "$seconds" <<'PYTHON'
import math, statistics, sys, time, urllib.request
nodes, token, pairs, seconds = sys.argv[1].split(","), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])

def record(on):
    for node in nodes:
        request = urllib.request.Request(f"http://{node}/api/v1/dev/faults", data=b'{"recording": %s}' % (b"true" if on else b"false"),
                                         headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        urllib.request.urlopen(request, timeout=10).read()

def reading():
    commits = cpu = 0.0
    for node in nodes:
        for line in urllib.request.urlopen(f"http://{node}/metrics", timeout=10).read().decode().splitlines():
            # Calls and not commits, which the recorder counts.
            if line.startswith("grpc_server_handled_total{") and 'grpc_method="Execute"' in line and 'grpc_code="OK"' in line:
                commits += float(line.split()[-1])
            elif line.startswith("process_cpu_seconds_total"):
                cpu += float(line.split()[-1])
    return time.monotonic(), commits, cpu

def window(on):
    record(on)
    time.sleep(0.2)  # what had begun before
    began, commits, cpu = reading()
    time.sleep(seconds)
    ended, more, spent = reading()
    if more == commits:
        sys.exit("nothing was executed in a window: does the load run?")
    return (more - commits) / (ended - began), (spent - cpu) / (more - commits)

record(True)
for _ in range(120):  # until the accounts are made and transfers run
    _, before, _ = reading()
    time.sleep(1)
    if reading()[1] - before > 200:
        break
rates, costs = [], []
for pair in range(pairs):
    order = (True, False) if pair % 2 == 0 else (False, True)
    found = {on: window(on) for on in order}
    rates.append(math.log(found[True][0] / found[False][0]))
    costs.append(math.log(found[True][1] / found[False][1]))
    if pair % 10 == 9:
        print(f"{pair + 1} pairs: {found[True][0]:.0f} and {found[False][0]:.0f} calls/s, "
              f"{found[True][1] * 1e6:.0f} and {found[False][1] * 1e6:.0f} us each", flush=True)
record(True)
for name, ratios in (("recording changes the rate by", rates), ("and the servers' time per call by", costs)):
    mean, error = statistics.fmean(ratios), 2 * statistics.stdev(ratios) / math.sqrt(len(ratios))
    print(f"{name:36} {100 * math.expm1(mean):+6.2f} %  +- {100 * error:.2f}   of {len(ratios)} pairs")
PYTHON
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

if [ "$pairs" -ge 2 ]; then
  "$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload bank --clients 32 \
    --duration "$(awk -v p="$pairs" -v s="$seconds" 'BEGIN { print int(p * 2 * (s + 0.6)) + 60 }')s" >/dev/null 2>&1 &
  load=$!
  compare
  kill "$load" 2>/dev/null || true
  wait "$load" 2>/dev/null || true
fi
profile
