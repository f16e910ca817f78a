#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. With arguments it runs the tests that they choose:
# scripts/test.sh -L unit
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
"${tests[@]}" "$@"
