#!/usr/bin/env bash
# Two commits, held against each other by the micro-benchmarks, in turn (A B A B ...) so that whatever else the machine
# does meets both: for each benchmark the ratio of processor time, new to old, of the fastest runs. Ends with 1 when one
# is slower by more than the bound.
#
#   bench/regress.sh OLD [NEW] [--turns T] [--bound PERCENT] [--filter REGEX] [--full]
#
# default: NEW is HEAD; 5 turns; 15 percent, since a shared machine's fastest runs differ by several. --full: whole transfers too, on a
# cluster of each (the servers' time for a transaction). Both are built in folders of their own (build/regress), which stay for next time.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

commits=() turns=5 bound=15 filter=. full=""
while [ $# -gt 0 ]; do
  case $1 in
    --turns) turns=$2; shift 2 ;;
    --bound) bound=$2; shift 2 ;;
    --filter) filter=$2; shift 2 ;;
    --full) full=yes; shift ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
    -*) die "$1 is no option; see --help" ;;
    *) commits+=("$1"); shift ;;
  esac
done
[ ${#commits[@]} -ge 1 ] && [ ${#commits[@]} -le 2 ] || die "which commits? bench/regress.sh OLD [NEW]; see --help"
[ ${#commits[@]} -eq 2 ] || commits+=(HEAD)
install_packages

programs=(sql_bench micro_bench)
[ -z "$full" ] || programs+=(assentd assentctl)
trees=() names=()
for which in 0 1; do
  commit=$(git -C "$root" rev-parse --verify --quiet "${commits[which]}^{commit}") || die "${commits[which]} is no commit"
  tree=$root/build/regress/${commit:0:12}
  [ -d "$tree" ] || git -C "$root" worktree add -q --detach "$tree" "$commit"
  [ -f "$tree/build/release/build.ninja" ] || (cd "$tree" && cmake --preset release) >&2
  ninja -C "$tree/build/release" "${programs[@]}" >&2 || die "${commits[which]} has no such benchmarks, or does not build"
  trees+=("$tree") names+=("${commits[which]}")
done

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
for turn in $(seq "$turns"); do
  for which in 0 1; do
    for program in sql_bench micro_bench; do
      "${trees[which]}/build/release/bin/$program" --benchmark_filter="$filter" --benchmark_format=json \
        --benchmark_min_time=0.1 >"$results/$which-$turn-$program.json" 2>/dev/null || true # a filter that fits nothing here
    done
    if [ -n "$full" ]; then
      "${trees[which]}/scripts/cluster.sh" start "$results/c" >/dev/null
      (source "$results/c/cluster.env" &&
        "${trees[which]}/build/release/bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" -o json bench run --workload bank --clients 32 \
          --warmup 1s --duration 4s) >"$results/$which-$turn-full.json"
      "${trees[which]}/scripts/cluster.sh" stop "$results/c" >/dev/null
      rm -rf "$results/c"
    fi
  done
  say "turn $turn of $turns"
done
/usr/bin/python3 - "$results" "$bound" "${names[@]}" <<'PYTHON'
import glob, json, os, sys
folder, bound, old_name, new_name = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4]
fastest = ({}, {})
for path in glob.glob(folder + "/*.json"):
    which, text = int(os.path.basename(path)[0]), open(path).read()
    if not text.strip():
        continue
    document = json.loads(text)
    runs = document.get("benchmarks")
    found = ([(run["name"], run["cpu_time"], run["time_unit"]) for run in runs] if runs is not None
             else [("whole transfers, 32 clients: servers' time", float(document["server_cpu_us_per_txn"]), "us")])
    for name, time, unit in found:
        known = fastest[which].get(name)
        if known is None or time < known[0]:
            fastest[which][name] = (time, unit)
both = [name for name in fastest[0] if name in fastest[1]]
if not both:
    sys.exit("no benchmark is in both: nothing was compared")
slower = 0
print(f"{'':46} {old_name[:12]:>14} {new_name[:12]:>14}   new/old")
for name in both:
    (old, unit), (new, _) = fastest[0][name], fastest[1][name]
    worse = new / old > 1 + bound / 100
    slower += worse
    print(f"{name:46} {old:11.1f} {unit} {new:11.1f} {unit}   {new / old:6.2f}{'   SLOWER' if worse else ''}")
for name in sorted(set(fastest[0]) ^ set(fastest[1])):
    print(f"{name:46} only in {old_name if name in fastest[0] else new_name}")
sys.exit(1 if slower else 0)
PYTHON
