#!/usr/bin/env bash
# What idle groups cost: a three-process cluster on loopback with many groups of three replicas each, nobody asking
# anything. Printed are the processor's time of all three nodes in percent of one core, the memory of a replica of a
# group (private and shared pages of a node above those of a node with three groups, for each group more), and how many
# transfers a second two of the groups do beside the others. First with groups that sleep, then with groups that do not.
#
#   bench/idle_groups.sh [--groups N] [--seconds N] [--clients N]
#     --groups N   default 1000
#     --seconds N  of each measurement, default 10
#     --clients N  of the transfers, default 16; 0: none
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

groups=1000 seconds=10 clients=16
while [ $# -gt 0 ]; do
  case $1 in
    --groups | --seconds | --clients)
      [[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 needs a whole number"
      printf -v "${1#--}" %s "$2"
      shift 2
      ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option $1; see bench/idle_groups.sh --help" ;;
  esac
done
[ "$groups" -gt 3 ] || die "--groups must be more than 3"
files=$((groups * 4 + 200))  # a shard's database, its log and its index, and some
ulimit -n "$files" 2>/dev/null || die "each node needs $files open files: ulimit -n"

install_packages
build_targets assentd assentctl
dir=$(mktemp -d "${TMPDIR:-/tmp}/assent-idle.XXXXXX")
cluster=$root/scripts/cluster.sh
export ASSENT_RAFT_LEADERS=anywhere ASSENT_LOG_LEVEL=warn
finish() {
  local status=$?
  "$cluster" stop "$dir/some" >/dev/null 2>&1 || true
  "$cluster" stop "$dir/many" >/dev/null 2>&1 || true
  if [ $status -eq 0 ]; then rm -rf "$dir"; else say "the nodes' logs and data are in $dir"; fi
  exit $status
}
trap finish EXIT

# In clock ticks, and in KiB.
cpu_of() { local total=0 pid; for pid in "$1"/n?.pid; do total=$((total + $(sed 's/.*) //' "/proc/$(cat "$pid")/stat" | awk '{print $12 + $13}'))); done; echo "$total"; }
memory_of() { local total=0 pid; for pid in "$1"/n?.pid; do total=$((total + $(awk '/^Rss:/ {print $2}' "/proc/$(cat "$pid")/smaps_rollup"))); done; echo "$total"; }

start() {  # FOLDER GROUPS
  "$cluster" start "$1" >/dev/null
  [ "$2" -gt 3 ] || return 0
  "$cluster" stop "$1"
  local shard
  for node in n1 n2 n3; do
    for ((shard = 3; shard < $2; ++shard)); do
      echo "    - { id: s$shard, role: shard, members: [n1, n2, n3] }"
    done >"$1/shards"
    sed -i "/id: s2, role/r $1/shards" "$1/$node.yaml"
  done
  for node in n1 n2 n3; do "$cluster" start-node "$1" "$node" >/dev/null; done
  local tries
  for tries in $(seq 300); do
    "$bin/assentctl" --endpoints "$(endpoints "$1")" --timeout 5s cluster health >/dev/null 2>&1 && return
    sleep 1
  done
  die "not every group has a leader after 300 s; see $1/n1.log"
}
endpoints() { (source "$1/cluster.env"; echo "$ASSENT_ENDPOINTS"); }
transfers() {  # FOLDER
  [ "$clients" -gt 0 ] || { echo -; return; }
  "$bin/assentctl" --endpoints "$(endpoints "$1")" bench run --workload bank --clients "$clients" --duration "${seconds}s" \
    --accounts 10000 --json | python3 -c 'import json, sys; print(round(json.load(sys.stdin)["transfers_per_second"]))'
}

printf '%-10s %8s %14s %16s %14s\n' groups sleep "cpu, % of 1" "KiB a replica" "transfers/s"
for after in 3s 0s; do
  export ASSENT_RAFT_SLEEP_AFTER=$after
  word=yes
  [ $after != 0s ] || word=no
  declare -A memory=()
  for many in 3 "$groups"; do
    folder=$dir/$([ "$many" = 3 ] && echo some || echo many)
    rm -rf "$folder"
    start "$folder" "$many"
    sleep 20  # until what a start leaves behind is done, and everybody sleeps who may
    before=$(cpu_of "$folder")
    sleep "$seconds"
    cpu=$(awk "BEGIN {printf \"%.2f\", ($(cpu_of "$folder") - $before) * 100 / $(getconf CLK_TCK) / $seconds}")
    memory[$many]=$(memory_of "$folder")
    kib=-
    [ "$many" = 3 ] || kib=$(awk "BEGIN {printf \"%.1f\", (${memory[$many]} - ${memory[3]}) / 3 / ($many - 3)}")
    printf '%-10s %8s %14s %16s %14s\n' "$many" $word "$cpu" "$kib" "$(transfers "$folder")"
    "$cluster" stop "$folder"
  done
done
