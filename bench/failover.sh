#!/usr/bin/env bash
# How long a group does not serve after its leader was killed: a three-process cluster on loopback, whose node that leads
# the group is ended with SIGKILL again and again. `assentctl bench failover --help` says what is measured; its report
# is what this prints.
#
#   bench/failover.sh [--trials N] [--group NAME] [--election-timeout TIME] [--clients N] [--json]
#     --trials N               default 100
#     --group NAME             c0, s1 or s2; default s1
#     --election-timeout TIME  of the nodes, default 1s; their heartbeat is a tenth of it. In ms or s
#     --clients N              that transfer money meanwhile; default none
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

trials=100 group=s1 election_timeout=1s clients=0 format=table
while [ $# -gt 0 ]; do
  case $1 in
    --trials | --clients)
      [[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 needs a whole number"
      printf -v "${1#--}" %s "$2"
      shift 2
      ;;
    --group) group=${2:?}; shift 2 ;;
    --election-timeout)
      [[ ${2:-} =~ ^[1-9][0-9]*m?s$ ]] || die "$1 needs a time such as 500ms or 1s"
      election_timeout=$2
      shift 2
      ;;
    --json) format=json; shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option $1; see bench/failover.sh --help" ;;
  esac
done
case $election_timeout in
  *ms) millis=${election_timeout%ms} ;;
  *) millis=$((${election_timeout%s} * 1000)) ;;
esac
export ASSENT_RAFT_ELECTION_TIMEOUT=${millis}ms ASSENT_RAFT_HEARTBEAT=$((millis / 10))ms

install_packages
build_targets assentd assentctl
dir=$(mktemp -d "${TMPDIR:-/tmp}/assent-failover.XXXXXX")
cluster=$root/scripts/cluster.sh
load=""
finish() {
  local status=$?
  if [ -n "$load" ]; then kill "$load" 2>/dev/null || true; fi
  "$cluster" stop "$dir" >/dev/null 2>&1 || true
  if [ $status -eq 0 ]; then rm -rf "$dir"; else say "the nodes' logs and data are in $dir"; fi
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

"$cluster" start "$dir" >&2
source "$dir/cluster.env"
export ASSENT_ENDPOINTS
if [ "$clients" -gt 0 ]; then
  "$bin/assentctl" bench run --clients "$clients" --duration 24h >"$dir/load.log" 2>&1 &
  load=$!
fi
"$bin/assentctl" -o "$format" bench failover --group "$group" --trials "$trials" --election-timeout "$election_timeout" \
  --kill-hook "$cluster kill-node $dir" --restart-hook "$cluster start-node $dir"
