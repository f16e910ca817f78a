#!/usr/bin/env bash
# Judges contrib/prometheus/alerts.yaml, and every query of contrib/grafana/assent.json, with Debian's promtool. Without
# it: exits 77, which ctest shows as skipped.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v promtool >/dev/null || { say "skipped: there is no promtool"; exit 77; }
promtool check rules "$root/contrib/prometheus/alerts.yaml" >&2

# Each query as the rule of a file of its own: promtool reads rules alone. Grafana's variables stand for values.
rules=$(mktemp "${TMPDIR:-/tmp}/assent-queries.XXXXXX")
trap 'rm -f "$rules"' EXIT
/usr/bin/python3 - "$root/contrib/grafana/assent.json" >"$rules" <<'PYTHON'
import json, sys

def queries(part):
    if isinstance(part, dict):
        if isinstance(part.get("expr"), str):
            yield part["expr"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from queries(one)

found = list(queries(json.load(open(sys.argv[1]))))
assert len(found) > 10, "the dashboard has hardly any query"
rules = []
for number, query in enumerate(found):
    for variable, value in (("$__rate_interval", "1m"), ("$__interval", "1m"), ("$__range", "1h")):
        query = query.replace(variable, value)
    rules.append({"record": f"query_{number}", "expr": query})
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
PYTHON
promtool check rules "$rules" >&2
