#!/usr/bin/env bash
# Installs what package-lock.json names, when it is not there yet, and builds the package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }
for program in node npm; do
  command -v "$program" >/dev/null || { say "error: there is no $program; install it with: apt-get install nodejs npm"; exit 1; }
done
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 18 ] || { say "error: $(command -v node) is version $major; the package needs Node 18 or later"; exit 1; }

# What was installed last, and wholly.
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || {
    say "error: npm ci failed; it needs the npm registry ($(npm config get registry 2>/dev/null)) or a cache of it"
    exit 1
  }
  cp package-lock.json node_modules/.installed
fi
npm run --silent build
