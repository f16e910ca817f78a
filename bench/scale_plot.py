#!/usr/bin/env python3
"""Keeps the points of bench/scale.sh in one JSON file, and draws its curves with gnuplot.

  begin FILE CURVE            forgets the curve's points
  add FILE CURVE X REPORT     takes a point from a report of assentctl bench run
  outcomes FILE X REPORT      takes one from history_bench
  doubt FILE X REPORT         takes one from in_doubt
  draw FILE FOLDER            an SVG for each curve in the file
"""
import json
import os
import subprocess
import sys

LOAD = ("transfers/s", "servers' time for a transfer, us")
CURVES = {
    "shards": ("shards of the cluster", *LOAD),
    "participants": ("shards of a transfer", *LOAD),
    "clients": ("clients", *LOAD),
    "values": ("bytes that a transfer writes on each shard besides", *LOAD),
    "accounts": ("accounts", *LOAD),
    "outcomes": ("outcomes kept", "memory after a restart, MiB", "seconds to restart"),
    "doubt": ("transactions in doubt", "memory after a restart, MiB", "seconds to restart"),
}


def load(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def keep(path, curves):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(curves, file, indent=1, sort_keys=True)
    os.replace(path + ".new", path)


def report_of(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def add(path, curve, x, point):
    curves = load(path)
    points = [known for known in curves.get(curve, []) if known["x"] != x]
    curves[curve] = sorted(points + [{"x": x, **point}], key=lambda known: known["x"])
    keep(path, curves)
    print(f"{curve:13} {x:>9} {point['left']:>10.1f} {point['right']:>10.3f}", flush=True)


def draw(path, folder):
    for curve, points in load(path).items():
        if not points:
            continue
        horizontal, left, right = CURVES[curve]
        rows = "\n".join(f"{point['x']} {point['left']} {point['right']}" for point in points)
        script = f"""set terminal svg size 720,360 font 'sans-serif,12' background '#ffffff'
set output '{folder}/{curve}.svg'
set logscale x
set xlabel '{horizontal}'
set ylabel '{left}' tc rgb '#1f6feb'
set y2label "{right}" tc rgb '#bf5700'
set ytics nomirror
set y2tics
set yrange [0:*]
set y2range [0:*]
set grid xtics ytics lc rgb '#dddddd'
set key off
set xtics ({", ".join(f"'{point['x']:,}' {point['x']}" for point in points)})
$points << END
{rows}
END
plot $points using 1:2 with linespoints lw 2 pt 7 lc rgb '#1f6feb', $points using 1:3 axes x1y2 with linespoints lw 2 pt 5 dt 2 lc rgb '#bf5700'
"""
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main():
    what, path, *rest = sys.argv[1:]
    if what == "begin":
        curves = load(path)
        curves[rest[0]] = []
        keep(path, curves)
    elif what == "add":
        report = report_of(rest[2])
        rate = report.get("tps", report.get("transfers_per_second"))
        add(path, rest[0], int(rest[1]), {"left": rate, "right": float(report["server_cpu_us_per_txn"])})
    elif what == "outcomes":
        report = report_of(rest[1])
        add(path, "outcomes", int(rest[0]), {"left": report["restart_memory_mib"], "right": report["restart_seconds"]})
    elif what == "doubt":
        report = report_of(rest[1])
        add(path, "doubt", int(rest[0]), {"left": report["restart_mib"], "right": report["restart_seconds"]})
    elif what == "draw":
        draw(path, rest[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
