#!/bin/sh
# kept_seeds.sh ASSENT_SIM SEEDS_FILE: runs each seed of the list twice; fails when one fails.
set -eu
failed=0
while read -r seed why; do
  case "$seed" in ''|'#'*) continue ;; esac
  workload=bank plain=
  case "$why" in '--workload '*) why=${why#--workload } workload=${why%% *} why=${why#* } ;; esac
  case "$why" in '--plain-raft '*) plain=--plain-raft why=${why#--plain-raft } ;; esac
  case "$why" in '--plain-snapshots '*) plain="$plain --plain-snapshots" why=${why#--plain-snapshots } ;; esac
  case "$why" in '--plain-leaving '*) plain="$plain --plain-leaving" why=${why#--plain-leaving } ;; esac
  case "$why" in '--plain-loops '*) plain="$plain --plain-loops" why=${why#--plain-loops } ;; esac
  "$1" replay --seed "$seed" --workload "$workload" $plain --check-determinism ||
    { echo "this seed is kept because: $why"; failed=1; }
done < "$2"
exit $failed
