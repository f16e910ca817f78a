#!/usr/bin/env bash
# Fuzzes the decoders of bytes from disks, peers, clients and operators with libFuzzer, under the address and undefined
# behaviour sanitizers. Ends at the first finding, with 1; the input is then in fuzz/regressions/NAME, from where the test
# run replays it, and the command that replays it alone is printed.
#
#   scripts/fuzz.sh [--seconds N] [--keep] [NAME...]
#     --seconds N   for each target, default 60
#     --keep        add what reached new code to fuzz/corpus/NAME, the smallest set of small inputs that reaches as much
#     NAME...       targets; all of them by default (fuzz/fuzz.h lists them)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=60 keep=false names=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 needs a whole number above 0"
      seconds=$2
      shift 2
      ;;
    --keep) keep=true; shift ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) die "unknown option $1; see scripts/fuzz.sh --help" ;;
    *) names+=("$1"); shift ;;
  esac
done

packages+=(clang libclang-rt-14-dev)
install_packages
build=$root/build/fuzz bin=$root/build/fuzz/bin preset=fuzz
if [ ${#names[@]} -gt 0 ]; then build_targets "${names[@]/#/fuzz_}"; else build_targets fuzzers; fi
[ ${#names[@]} -gt 0 ] || for program in "$bin"/fuzz_*; do names+=("${program##*/fuzz_}"); done

# Sizes: larger inputs find nothing that small ones do not, and cost time.
max_bytes() { case $1 in sqlite_image) echo 65536 ;; wal) echo 8192 ;; *) echo 2048 ;; esac; }

export UBSAN_OPTIONS=print_stacktrace=1
for name in "${names[@]}"; do
  work=$(mktemp -d "${TMPDIR:-/tmp}/assent-fuzz-$name.XXXXXX")
  mkdir -p "$work/seeds" "$work/found" "$root/fuzz/corpus/$name" "$root/fuzz/regressions/$name"
  "$bin/fuzz_$name" --write-seeds "$work/seeds"
  if ! "$bin/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len="$(max_bytes "$name")" -artifact_prefix="$root/fuzz/regressions/$name/" -print_final_stats=1 \
    "$work/found" "$work/seeds" "$root/fuzz/corpus/$name" 2>"$work/log"; then
    tail -n 60 "$work/log" >&2
    die "fuzz_$name found something; replay it with $bin/fuzz_$name fuzz/regressions/$name/..."
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
  say "$name: $runs inputs in $seconds s, nothing found; $(grep -o 'cov: [0-9]*' "$work/log" | tail -n 1)"
  if $keep; then
    mkdir "$work/kept"
    "$bin/fuzz_$name" -merge=1 -max_len=512 "$work/kept" "$root/fuzz/corpus/$name" "$work/found" 2>/dev/null
    # The corpus is for a quick replay: the smallest forty are plenty.
    find "$work/kept" -type f -printf '%s %p\n' | sort -n | head -n 40 | while read -r _ file; do
      cp "$file" "$root/fuzz/corpus/$name/"
    done
  fi
  rm -rf "$work"
done
find "$root/fuzz/corpus" "$root/fuzz/regressions" -type d -empty -delete 2>/dev/null || true
