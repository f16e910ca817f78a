#!/usr/bin/env bash
# Builds the service against the client library of this source tree: what `npm install` would fetch is linked to it.
#   setup.sh [--library-is-built]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
library=../../../clients/typescript
[ "${1:-}" = --library-is-built ] || "$library/scripts/setup.sh"
mkdir -p node_modules
ln -sfn "../$library" node_modules/assent
ln -sfn "../$library/node_modules/mysql2" node_modules/mysql2
node "$library/node_modules/typescript/bin/tsc" -p .
