#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Arguments go to ctest: scripts/test.sh -L unit
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
install_packages
build_targets
ctest --test-dir "$build" --output-on-failure -j "$(nproc)" "$@"
