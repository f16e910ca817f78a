#!/usr/bin/env bash
# How throughput and the servers' time for a transfer change with one thing at a time: shards of the cluster, participants of a
# transfer, clients, bytes of a value, accounts; and what outcomes that are kept, and transactions in doubt, cost. Each point is a run of its own on a fresh cluster
# of three nodes on loopback, but for clients and values, which share one.
#
#   bench/scale.sh [--seconds S] [--json FILE] [--plots FOLDER] [CURVE...]      default: 4 seconds, every curve
#
# Curves: shards participants clients values accounts outcomes doubt. Figures of curves that were not asked for stay in FILE (default: scale.json in
# the build directory) from before; FOLDER (default: plots in the build directory) gets an SVG of each curve in FILE, by Debian's gnuplot.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

seconds=4 json="" plots="" curves=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --json) json=$2; shift 2 ;;
    --plots) plots=$2; shift 2 ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
    -*) die "$1 is no option; see --help" ;;
    *) curves+=("$1"); shift ;;
  esac
done
[ ${#curves[@]} -gt 0 ] || curves=(shards participants clients values accounts outcomes doubt)
packages+=(gnuplot-nox python3)
install_packages
build_targets assentd assentctl history_bench in_doubt
json=${json:-$build/scale.json}
plots=${plots:-$build/plots}
mkdir -p "$plots"
dir=$(mktemp -d "${SCRATCH:-/var/tmp}/assent-scale.XXXXXX")
stop() {
  "$root/scripts/cluster.sh" stop "$dir/c" >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT

cluster() { # SHARDS
  "$root/scripts/cluster.sh" stop "$dir/c" >/dev/null 2>&1 || true
  rm -rf "$dir/c"
  ASSENT_SHARDS=$1 "$root/scripts/cluster.sh" start "$dir/c" >/dev/null
  source "$dir/c/cluster.env"
}
point() { # CURVE X ARGUMENT...
  local curve=$1 x=$2
  shift 2
  [ "$curve" = clients ] || set -- --clients 32 "$@"
  if "$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --warmup 1s --duration "${seconds}s" "$@" \
    >"$dir/point.json"; then
    /usr/bin/python3 "$root/bench/scale_plot.py" add "$json" "$curve" "$x" "$dir/point.json"
  else
    say "$curve at $x: the run failed, and is left out"
  fi
}

for curve in "${curves[@]}"; do
  case $curve in shards | participants | clients | values | accounts | outcomes | doubt) ;; *) die "$curve is no curve; see --help" ;; esac
  /usr/bin/python3 "$root/bench/scale_plot.py" begin "$json" "$curve"
  case $curve in
    # Transfers of SQL between two shards each, whichever; the accounts are as many in all.
    shards) for n in 2 4 8 16 32 64; do cluster "$n"; point shards "$n" --workload bank --accounts $((20000 / n)); done
      # One shard has no transfers between two.
      cluster 1; point shards 1 --workload bank --accounts 20000 --cross-shard 0 ;;
    participants) for n in 2 3 5 10; do
      cluster 10; point participants "$n" --workload keys --accounts 10000 --participants "$n"; done ;;
    clients) cluster 2
      for n in 1 2 4 8 16 32 64 128 256 512 1024; do point clients "$n" --workload bank --accounts 10000 --clients "$n"; done ;;
    values) cluster 2
      for n in 1 100 1000 10000 100000; do point values "$n" --workload keys --accounts 10000 --value-bytes "$n"; done ;;
    accounts) for n in 1000 10000 100000 1000000 10000000; do cluster 2; point accounts "$n" --workload bank --accounts $((n / 2)); done ;;
    outcomes) for n in 20000 100000 1000000 10000000; do
      rm -rf "$dir/history"
      "$bin/history_bench" "$dir/history" "$n" >"$dir/point.txt" && /usr/bin/python3 "$root/bench/scale_plot.py" outcomes "$json" "$n" "$dir/point.txt"
    done ;;
    doubt) for n in 1000 10000 100000 1000000; do
      rm -rf "$dir/doubt"
      "$bin/in_doubt" "$dir/doubt" "$n" >"$dir/point.txt" && /usr/bin/python3 "$root/bench/scale_plot.py" doubt "$json" "$n" "$dir/point.txt"
    done ;;
  esac
done
/usr/bin/python3 "$root/bench/scale_plot.py" draw "$json" "$plots"
say "figures: $json; plots: $plots"
