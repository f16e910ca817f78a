#!/usr/bin/env python3
"""Reads perf's stacks of the nodes and says what each part of one transaction costs; draws them as a flame graph.

A sample belongs to the first part, from the innermost frame outwards, that one of its frames is of: SQLite below the
evaluation of a statement is another part than SQLite below its application, and a system call belongs to who made it.
"""
import argparse
import collections
import html
import json
import re

# In the order in which they are tried at each frame. gRPC's own come last, and only of samples that no frame of ours but the queue's
# wait is in: what it does for a call or a stream belongs to that.
PARTS = [
    ("WAL: write and sync", r"::SegmentedWal::|assent::(Wal|PosixDisk|SpareFile|SnapshotStore)\b|::(Posix|IoThread|FileSnapshotStore)::"),
    ("recorder", r"assent::(Recorder|SpanCollector)::"),
    ("SQL: evaluate", r"assent::sql::(Evaluator|Capture)|assent::SqliteStore::(Parts::)?(evaluate|query)"),
    ("SQL: check", r"assent::sql::Applier::check|assent::SqliteStore::(Parts::)?check\b"),
    ("SQL: apply", r"assent::sql::Applier|assent::SqliteStore::|assent::SqliteArchive::"),
    ("codec", r"assent::wire::|google::protobuf|assent::.*\b(from_api|to_api|encode|decode)\b"),
    ("consensus", r"assent::raft::|assent::Membership"),
    ("coordinator", r"assent::(Conductor|Decisions|Termination|Resolution|OutcomeHistory|OutcomeQueue|BallotQueue|CoordinatorBinding)"),
    ("participant", r"assent::(Shard|Caretaker|LockTable|EscrowTable|ShardBinding)\b"),
    ("frames between nodes", r"assent::(GrpcTransport|PeerLink|PeerService|Peers)\b"),
    ("calls of clients", r"assent::(CoordinatorService|ShardService|PendingCalls|AnswerSender|Admission|ClientApi|ClientGate)\b|TypedCall"),
    ("loop and router", r"::NodeLoop::|assent::(Loop|Group|Router|Inbox|RecentBills)\b"),
    ("gRPC: polling and transport", r"assent::(LoopThread|RpcQueue)\b|^grpc_|grpc::|grpc_core::|^absl::|chttp2|^tcp_|pollset|epoll|RpcQueue"),
]
COMPILED = [(name, re.compile(expression)) for name, expression in PARTS]


def part_of(frames):
    for among in (COMPILED[:-1], COMPILED[-1:]):
        for frame in frames:
            for name, expression in among:
                if expression.search(frame):
                    return name
    return "other"


def read_stacks(path):
    """Each sample as its frames, innermost first, and the thread's name."""
    with open(path, encoding="utf-8", errors="replace") as text:
        for block in text.read().split("\n\n"):
            lines = [line for line in block.split("\n") if line.strip()]
            if len(lines) < 2:
                continue
            frames = [line.strip().split(" ", 1)[1] if " " in line.strip() else "[unknown]" for line in lines[1:]]
            yield lines[0].strip(), frames


def read_counts(path):
    """Of perf stat -x, by event."""
    counts = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.strip().split(",")
            if len(fields) > 2 and fields[0].isdigit():
                counts[fields[2]] = int(fields[0])
    return counts


def read_numbers(path):
    with open(path, encoding="utf-8") as file:
        return [int(word) for word in file.read().split()]


def shorten(name):
    name = re.sub(r"\(.*", "", name)
    depth, out = 0, []
    for char in name:
        depth += char == "<"
        if depth == 0:
            out.append(char)
        depth -= char == ">"
    return "".join(out) or name


def draw(stacks, total, path, title):
    """A flame graph: width is the share of the samples, the root is below. Titles tell the share when pointed at."""
    root = {}
    for frames, count in stacks.items():
        node = root
        for frame in frames:
            node = node.setdefault(frame, [0, {}])
            node[0] += count
            node = node[1]
    width, row, rows = 1400, 15, []

    def place(children, left, depth):
        for name, (count, below) in sorted(children.items()):
            span = count / total * width
            if span >= 0.4:
                rows.append((left, depth, span, name, count))
                place(below, left, depth + 1)
            left += span

    place(root, 0, 0)
    height = (max((depth for _, depth, *_ in rows), default=0) + 1) * row + 50
    colours = {name: f"hsl({index * 360 // len(PARTS)},60%,68%)" for index, (name, _) in enumerate(PARTS)}
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="10">',
           f'<rect width="{width}" height="{height}" fill="#fff"/><text x="8" y="18" font-size="14">{html.escape(title)}</text>']
    for left, depth, span, name, count in rows:
        colour = colours.get(part_of([name]), "#ddd")
        top = height - (depth + 1) * row - 4
        label = html.escape(name[: int(span / 5.6)]) if span > 24 else ""
        out.append(f'<g><title>{html.escape(name)}: {100 * count / total:.2f} %</title><rect x="{left:.1f}" y="{top}" '
                   f'width="{span:.1f}" height="{row - 1}" fill="{colour}"/><text x="{left + 2:.1f}" y="{top + 10}">{label}</text></g>')
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out))


def main():
    parser = argparse.ArgumentParser()
    for name in ("stacks", "report", "stat", "before", "after", "svg", "title"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--allocations", required=True, help="how many, and in how many transactions")
    parser.add_argument("--json")
    parser.add_argument("--verbose", action="store_true", help="the innermost frames of the dearest parts")
    given = parser.parse_args()
    parts, graph, total = collections.Counter(), collections.Counter(), 0
    others = collections.Counter()
    inner = collections.defaultdict(collections.Counter)
    for _, frames in read_stacks(given.stacks):
        total += 1
        part = part_of(frames)
        parts[part] += 1
        inner[part][shorten(frames[0])] += 1
        if part == "other":
            others[shorten(frames[0])] += 1
        graph[tuple(shorten(frame) for frame in reversed(frames))] += 1
    if total == 0:
        raise SystemExit("perf took no samples: do the nodes do anything?")
    with open(given.report, encoding="utf-8") as file:
        report = json.load(file)
    micros = float(report["server_cpu_us_per_txn"])
    rate = report.get("tps", report.get("transfers_per_second"))
    print(f"{given.title}: {rate:.0f} transactions/s, {micros:.0f} us of the three nodes' processors each, {total} samples\n")
    budget = [(name, micros * count / total, 100 * count / total) for name, count in parts.most_common()]
    print("| part | us for a transaction | share |\n|---|---|---|")
    for name, cost, share in budget:
        print(f"| {name} | {cost:.0f} | {share:.1f} % |")
    committed, frame_bytes, log_bytes = (after - before for before, after in zip(read_numbers(given.before), read_numbers(given.after)))
    counters = {name: count / max(1, committed) for name, count in read_counts(given.stat).items()}
    counters["frame bytes"] = frame_bytes / max(1, committed)
    counters["log bytes"] = log_bytes / max(1, committed)
    allocations, meanwhile = read_numbers(given.allocations)
    counters["allocations"] = allocations / max(1, meanwhile)
    print()
    for name, words in (("raw_syscalls:sys_enter", "system calls"), ("context-switches", "context switches"), ("allocations", "allocations")):
        print(f"{words}: {counters[name]:.1f} for a transaction" if name in counters else f"{words}: not counted, perf may not")
    print(f"syncs: {report['fsyncs_per_txn']:.2f}, frames: {report['frames_per_txn']:.2f} of {counters['frame bytes']:.0f} bytes together, "
          f"and {counters['log bytes']:.0f} bytes of the logs, for a transaction")
    for name, _, _ in budget[: 6 if given.verbose else 0]:
        print(f"{name}: " + ", ".join(f"{frame} {100 * count / total:.1f} %" for frame, count in inner[name].most_common(14)))
    if others:
        print("other, by the innermost frame: " + ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in others.most_common(8)))
    draw(graph, total, given.svg, given.title)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"title": given.title, "tps": rate, "micros": micros, "samples": total,
                       "parts": {name: round(cost, 1) for name, cost, _ in budget}, "counters": counters}, file, indent=1)


if __name__ == "__main__":
    main()
