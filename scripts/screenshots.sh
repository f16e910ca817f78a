#!/usr/bin/env bash
# Pictures of each page of the dashboard, 1440 and 390 pixels wide, light and dark, into build/screenshots.
# scripts/screenshots.sh [URL]: of the node at URL; without it, of made-up transactions. Needs Node and chromium.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
packages=("${browser_packages[@]}")
install_packages

cd "$root/dashboard"
[ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund >&2
npm run --silent compile >&2
node .tests/test/screenshots.js "$root/build/screenshots" ${1:+"${1%/}"}
say "they are in build/screenshots"
