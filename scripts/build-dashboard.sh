#!/usr/bin/env bash
# Builds dashboard/dist from dashboard/src, to be committed: what cmake puts into the binary. Needs Node 20.19 or newer.
# --test also runs the tests of the parts that need no browser.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v npm >/dev/null || die "npm is missing: install Node 20.19 or newer (only the dashboard's developers need it)"
cd "$root/dashboard"
npm ci --no-audit --no-fund >&2
npm run --silent check >&2
[ "${1:-}" = --test ] && npm test >&2
rm -rf dist
npm run --silent build >&2
cmake -DDASHBOARD="$root/dashboard" -DWRITE=ON -P stamp.cmake
say "dashboard/dist is built; commit it together with the sources"
