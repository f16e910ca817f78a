#!/bin/sh
# kept_seeds.sh ASSENT_SIM SEEDS_FILE: runs each seed of the list twice; fails when one fails.
set -eu
failed=0
while read -r seed why; do
  case "$seed" in ''|'#'*) continue ;; esac
  workload=bank awake=
  case "$why" in '--workload '*) why=${why#--workload } workload=${why%% *} why=${why#* } ;; esac
  case "$why" in '--awake '*) awake=--awake why=${why#--awake } ;; esac
  "$1" replay --seed "$seed" --workload "$workload" $awake --check-determinism ||
    { echo "this seed is kept because: $why"; failed=1; }
done < "$2"
exit $failed
