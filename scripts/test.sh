#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test; then the quick ones of the planted bugs, in a build of their own.
# With arguments it runs the tests that they choose, and no planted bugs: scripts/test.sh -L unit
#
#   scripts/test.sh --sanitizer asan|tsan [ctest arguments]
#     the unit tests under the address and undefined behaviour sanitizers, or under the thread sanitizer
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ "${1:-}" = --sanitizer ]; then
  [[ ${2:-} =~ ^(asan|tsan)$ ]] || die "--sanitizer needs asan or tsan"
  preset=$2 build=$root/build/$2 bin=$root/build/$2/bin
  shift 2
  set -- -L unit "$@"
  # Debian's gRPC, protobuf and abseil are not instrumented: see the file.
  export TSAN_OPTIONS="suppressions=$root/scripts/tsan.supp second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
  export ASAN_OPTIONS="detect_stack_use_after_return=1 strict_string_checks=1 ${ASAN_OPTIONS:-}"
  export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"
fi

want_services
want_browser
install_packages
build_targets
# Most tests with real processes wait most of the time, for elections and time-outs: one more than there are cores.
tests=(ctest --test-dir "$build" --output-on-failure -j "$(($(nproc) + 1))")
if [ $# -gt 0 ]; then
  "${tests[@]}" "$@"
  exit
fi

# The build with planted bugs is made meanwhile.
planted=$root/build/planted
[ -f "$planted/build.ninja" ] || configure planted
nice -n 10 ninja -C "$planted" -j1 assent-sim explore_planted_test sim_planted_test >"$root/build/planted.log" 2>&1 &
building=$!
trap 'kill "$building" 2>/dev/null || true' EXIT
"${tests[@]}"
wait "$building" || { cat "$root/build/planted.log" >&2; die "the build with planted bugs failed"; }

# Ten bugs that the simulator finds within seconds, one of each kind; `assent-sim canaries` alone hunts all of them.
"$planted/bin/assent-sim" canaries --seconds 60 --only "$(printf '%s,' \
  vote_before_sync append_reply_before_sync leader_counts_itself_early older_term_by_count vote_forgotten \
  ready_too_early directory_not_synced sync_error_swallowed applied_apart_from_data)read_without_quorum"
ctest --test-dir "$planted" --output-on-failure -j "$(nproc)" -L planted
