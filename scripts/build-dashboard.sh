#!/usr/bin/env bash
# Builds dashboard/dist from dashboard/src, to be committed: what cmake puts into the binary. Needs Node 20.19 or newer.
# --test also runs the dashboard's tests: those of its pure parts, then those in a browser (Debian's chromium).
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v npm >/dev/null || die "npm is missing: install Node 20.19 or newer (only the dashboard's developers need it)"
cd "$root/dashboard"
npm ci --no-audit --no-fund >&2
npm run --silent check >&2
rm -rf dist
npm run --silent build >&2
cmake -DDASHBOARD="$root/dashboard" -DWRITE=ON -P stamp.cmake
if [ "${1:-}" = --test ]; then
  npm run --silent test >&2
  packages=("${browser_packages[@]}")
  install_packages
  npm run --silent test:browser >&2
fi
say "dashboard/dist is built; commit it together with the sources"
