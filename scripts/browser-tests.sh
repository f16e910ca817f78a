#!/usr/bin/env bash
# The dashboard in a browser: against made-up transactions, then that of a real `assentd dev`. Needs Node and Debian's
# chromium; without them it says so and exits 77, which ctest shows as skipped. ASSENT_BIN_DIR: where assentd is.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for program in node npm "${CHROMIUM:-/usr/bin/chromium}"; do
  command -v "$program" >/dev/null || { say "skipped: there is no $program"; exit 77; }
done
export ASSENT_BIN_DIR=${ASSENT_BIN_DIR:-$bin}
cd "$root/dashboard"
[ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund >&2
npm run --silent compile >&2
exec node --test --test-concurrency=1 "$@" .tests/test/browser/ .tests/test/e2e/
