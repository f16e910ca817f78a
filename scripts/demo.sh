#!/usr/bin/env bash
# The main job: a bank over two replicated shards and a replicated coordinator, under load, while the coordinator's leader
# is killed and comes back. Prints one JSON object as its last line and exits 0 only if no money and no acknowledged
# transfer was lost and no transaction is in doubt.
#
#   scripts/demo.sh [--seconds N] [--clients N] [--accounts N] [--keep]
#     --seconds N   of load, default 20
#     --clients N   concurrent clients, default 32
#     --accounts N  on each shard, default 1000
#     --keep        leave the cluster running and say how to talk to it
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=20 clients=32 accounts=1000 keep=false
while [ $# -gt 0 ]; do
  case $1 in
    --seconds | --clients | --accounts)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 needs a whole number above 0"
      printf -v "${1#--}" %s "$2"
      shift 2
      ;;
    --keep) keep=true; shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option $1; see scripts/demo.sh --help" ;;
  esac
done

install_packages
build_targets assentd assentctl

dir=$(mktemp -d "${TMPDIR:-/tmp}/assent-demo.XXXXXX")
cluster=$root/scripts/cluster.sh
finish() {
  local status=$?
  if $keep && [ -f "$dir/cluster.env" ]; then
    "$cluster" start "$dir" >&2
  else
    "$cluster" stop "$dir" >/dev/null 2>&1 || true
    if [ $status -eq 0 ]; then rm -rf "$dir"; else say "the nodes' logs and data are in $dir"; fi
  fi
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

"$cluster" start "$dir" >&2
source "$dir/cluster.env"
"$bin/assentctl" --endpoints "$ASSENT_ENDPOINTS" demo bank \
  --seconds "$seconds" --clients "$clients" --accounts "$accounts" \
  --kill-hook "$cluster kill-node $dir" --restart-hook "$cluster start-node $dir"
