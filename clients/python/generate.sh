#!/usr/bin/env bash
# Makes the Python package `assent`, with the code that protoc generates for it, in a folder of its own:
#
#   clients/python/generate.sh [FOLDER]        # build/python when none is given
#   export PYTHONPATH=FOLDER
#
# The folder is all that a program needs besides Debian's python3-grpcio and python3-protobuf (and python3-psycopg2 or
# python3-pymysql for services that have such a database); copy it to wherever the program runs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/build/python}
plugin=$(command -v grpc_python_plugin) || { echo "error: no grpc_python_plugin; install protobuf-compiler-grpc" >&2; exit 1; }

# Made aside and moved, so that a program that starts meanwhile sees one whole package.
mkdir -p "$out"
new=$(mktemp -d "$out/.assent.XXXXXX")
trap 'rm -rf "$new"' EXIT
cp -R "$here/src/assent" "$new/assent"
find "$new" -name __pycache__ -prune -exec rm -rf {} +
protoc -I "$root/txn_proto" --python_out="$new" --grpc_out="$new" --plugin=protoc-gen-grpc="$plugin" \
  assent/v1/assent.proto assent/v1/participant.proto
protoc -I "$here/src" --python_out="$new" assent/details.proto
touch "$new/assent/v1/__init__.py"
chmod -R a+rX "$new"
rm -rf "$out/assent.old"
[ ! -e "$out/assent" ] || mv "$out/assent" "$out/assent.old"
mv "$new/assent" "$out/assent"
rm -rf "$out/assent.old"
