#!/usr/bin/env bash
# What recording costs: the bank workload on two clusters that differ in trace.ring alone, in turns (A B A B ...), so that
# whatever else the machine does meets both. Prints the rate and the servers' CPU time for each turn, and the medians; on a
# busy machine the latter says more.
#
#   scripts/measure-recording.sh [TURNS] [SECONDS]     default: 6 turns of 10 seconds each way
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

turns=${1:-6} seconds=${2:-10}
dir=$(mktemp -d)
trap '"$root/scripts/cluster.sh" stop "$dir/on"; "$root/scripts/cluster.sh" stop "$dir/off"; rm -rf "$dir"' EXIT

build_targets assentd assentctl
for side in on off; do
  "$root/scripts/cluster.sh" start "$dir/$side" >/dev/null
  "$root/scripts/cluster.sh" stop "$dir/$side"
done
for node in n1 n2 n3; do echo 'trace: { ring: 0 }' >>"$dir/off/$node.yaml"; done

# The number behind a name in a JSON document of one line or many.
figure() { grep -o "\"$1\": *[0-9.]*" | head -n 1 | grep -o '[0-9.]*$'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

for turn in $(seq "$turns"); do
  for side in on off; do
    "$root/scripts/cluster.sh" start "$dir/$side" >/dev/null
    source "$dir/$side/cluster.env"
    report=$("$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload bank --clients 32 \
      --warmup 2s --duration "${seconds}s")
    "$root/scripts/cluster.sh" stop "$dir/$side"
    figure tps <<<"$report" >>"$dir/$side.rates"
    figure server_cpu_us_per_txn <<<"$report" >>"$dir/$side.cpu"
    printf 'turn %d  recording %-3s  %8s commits/s  %6s us of CPU each\n' "$turn" "$side" "$(tail -n 1 "$dir/$side.rates")" \
      "$(tail -n 1 "$dir/$side.cpu")"
  done
done
for side in on off; do
  printf 'median  recording %-3s  %8s commits/s  %6s us of CPU each\n' "$side" "$(median <"$dir/$side.rates")" \
    "$(median <"$dir/$side.cpu")"
done
