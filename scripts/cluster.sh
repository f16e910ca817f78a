#!/usr/bin/env bash
# A three-process cluster on loopback: one coordinator group (c0) and two shards (s1, s2), three replicas each.
#
#   scripts/cluster.sh start DIR            starts it with its data in DIR, and prints the endpoints
#   scripts/cluster.sh stop DIR             ends it; the data stays
#   scripts/cluster.sh status DIR           says which nodes run
#   scripts/cluster.sh kill-node DIR NODE   ends one node with SIGKILL
#   scripts/cluster.sh start-node DIR NODE  starts one node again
#
# The first start chooses free ports and writes DIR/cluster.env and DIR/n1.yaml ...; later starts use what is there. ASSENT_SHARDS=N
# makes N shards instead of two, when a cluster is started for the first time.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

nodes=(n1 n2 n3)

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below 32768, where Linux begins to hand out ports of its own.
choose_base_port() {
  local base try i
  for try in $(seq 100); do
    base=$((20000 + (RANDOM % 1200) * 10))
    for i in 1 2 3 4 5 6 7 8 9; do port_is_free $((base + i)) || continue 2; done
    echo "$base"
    return
  done
  die "found no nine free ports between 20000 and 32000 on 127.0.0.1"
}

write_configuration() {
  local base i node peers clients="" shards=""
  for i in $(seq "${ASSENT_SHARDS:-2}"); do shards+="    - { id: s$i, role: shard, members: [n1, n2, n3] }"$'\n'; done
  base=$(choose_base_port)
  peers="n1: \"127.0.0.1:$((base + 4))\", n2: \"127.0.0.1:$((base + 5))\", n3: \"127.0.0.1:$((base + 6))\""
  clients="n1: \"127.0.0.1:$((base + 1))\", n2: \"127.0.0.1:$((base + 2))\", n3: \"127.0.0.1:$((base + 3))\""
  for i in 1 2 3; do
    node=n$i
    cat >"$dir/$node.yaml" <<YAML
node:
  name: $node
  data_dir: "$dir/$node"
listen:
  client: 127.0.0.1:$((base + i))
  peer: 127.0.0.1:$((base + 3 + i))
  http: 127.0.0.1:$((base + 6 + i))
cluster:
  name: local
  peers: { $peers }
  clients: { $clients }
  groups:
    - { id: c0, role: coordinator, members: [n1, n2, n3] }
$shards# All on one machine: there is nothing to gain from leaders apart.
raft:
  leaders: together
YAML
  done
  echo "ASSENT_ENDPOINTS=127.0.0.1:$((base + 1)),127.0.0.1:$((base + 2)),127.0.0.1:$((base + 3))" >"$dir/cluster.env"
  echo "ASSENT_HTTP=127.0.0.1:$((base + 7)),127.0.0.1:$((base + 8)),127.0.0.1:$((base + 9))" >>"$dir/cluster.env"
}

# The pid of a running node, and nothing when it does not run: a pid file may outlive its process.
pid_of() {
  local pid
  pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "--config $dir/$1.yaml" && echo "$pid"
}

start_node() {
  local node=$1
  pid_of "$node" >/dev/null && return
  setsid "$bin/assentd" start --config "$dir/$node.yaml" >>"$dir/$node.log" 2>&1 </dev/null &
  echo $! >"$dir/$node.pid"
}

stop_node() {
  local pid
  pid=$(pid_of "$1") || return 0
  kill "-$2" "$pid" 2>/dev/null || true
  for _ in $(seq 300); do
    [ -d "/proc/$pid" ] && [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" != Z ] || break
    sleep 0.1
  done
  pid_of "$1" >/dev/null && die "$1 (pid $pid) does not end; see $dir/$1.log"
  rm -f "$dir/$1.pid"
}

# Every group has a ready leader; otherwise the last lines of the logs.
wait_until_ready() {
  local tries
  for tries in $(seq 300); do
    if "$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" --timeout 2s cluster health >/dev/null 2>&1; then return; fi
    for node in "${nodes[@]}"; do
      pid_of "$node" >/dev/null || { tail -n 5 "$dir/$node.log" >&2; die "$node ended; its last words are above, the rest in $dir/$node.log"; }
    done
    sleep 0.1
  done
  tail -n 5 "$dir"/n?.log >&2
  die "the cluster has no leaders after 30 s; see $dir/n1.log, n2.log, n3.log"
}

print_how_to_talk() {
  cat <<TEXT
cluster    ${#nodes[@]} nodes in $dir: coordinator c0, shards s1 and s2, three replicas each
endpoints  $ASSENT_ENDPOINTS
dashboard  ${ASSENT_HTTP:+http://${ASSENT_HTTP%%,*}/  (every node has one: $ASSENT_HTTP; /metrics beside it)}
logs       $dir/n1.log $dir/n2.log $dir/n3.log
talk to it
  export ASSENT_ENDPOINTS=$ASSENT_ENDPOINTS
  $bin/assentctl cluster status
  $bin/assentctl sql --shard s1 "SELECT 1"
stop it
  $root/scripts/cluster.sh stop $dir
TEXT
}

[ $# -ge 2 ] || usage
command=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

case $command in
  start)
    install_packages
    build_targets assentd assentctl
    [ -f "$dir/cluster.env" ] || write_configuration
    source "$dir/cluster.env"
    for node in "${nodes[@]}"; do start_node "$node"; done
    wait_until_ready
    print_how_to_talk
    ;;
  stop) for node in "${nodes[@]}"; do stop_node "$node" TERM & done; wait ;;
  status) for node in "${nodes[@]}"; do echo "$node $(pid_of "$node" || echo stopped)"; done ;;
  kill-node) [ $# -eq 3 ] || usage; stop_node "$3" KILL ;;
  start-node) [ $# -eq 3 ] || usage; start_node "$3" ;;
  *) usage ;;
esac
