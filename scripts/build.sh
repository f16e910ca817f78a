#!/usr/bin/env bash
# Installs what is missing and builds everything into build/<preset>; ASSENT_PRESET=debug|asan|tsan|release picks the preset.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
install_packages
build_targets "$@"
