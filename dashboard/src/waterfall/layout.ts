// Where a transaction's spans stand in its waterfall: rows, times, segments, the phase band, what lies under the mouse.
// Pure: times in microseconds from the transaction's start, positions in css pixels; no canvas, no document.
//
// Invariants: a row for each span, parents before children, whatever the nodes sent (a span whose parent is missing is a
// root; a circle of parents is cut); a bar never ends before it begins; segments lie inside their bar.

import { num, type TxnPhase, type TxnSpan, type TxnTrace } from '../api.js';

export type SegmentKind = 'queue' | 'fsync' | 'replicate' | 'rest';
export interface Segment {
  kind: SegmentKind;
  from: number;
  to: number;
}
export interface Row {
  span: TxnSpan;
  depth: number;
  from: number; // as drawn: raw, or aligned
  to: number;
  shifted: number; // micros that aligning moved it by; 0: not moved
  is_lock: boolean;
  segments: Segment[]; // of an entry in a raft log
}
export interface Band {
  phase: string;
  from: number;
  to: number;
  open: boolean;
  share: number | null; // of the time until the answer; null: it ran behind the answer
}
export interface Waterfall {
  rows: Row[];
  bands: Band[];
  end: number; // of the latest bar
  groups: string[]; // in the order in which they appear: a group's colour is its place here
  commit_point: number | null;
  answered: number | null;
}

const depth_max = 32;

function children_of(spans: readonly TxnSpan[]): { roots: TxnSpan[]; below: Map<string, TxnSpan[]> } {
  const ids = new Set(spans.map((span) => span.spanId));
  const roots: TxnSpan[] = [];
  const below = new Map<string, TxnSpan[]>();
  for (const span of spans) {
    if (span.parentId === '' || span.parentId === span.spanId || !ids.has(span.parentId)) {
      roots.push(span);
      continue;
    }
    const siblings = below.get(span.parentId);
    if (siblings) siblings.push(span);
    else below.set(span.parentId, [span]);
  }
  return { roots, below };
}

export function segments_of(span: TxnSpan, from: number, to: number): Segment[] {
  if (span.name !== 'raft.propose' || span.open) return [];
  const parts: [SegmentKind, number][] = [
    ['queue', span.queuedMicros],
    ['fsync', span.syncedMicros],
    ['replicate', span.replicatedMicros],
  ];
  const known = parts.reduce((sum, [, micros]) => sum + Math.max(0, micros), 0);
  if (known === 0) return [];
  // What the entry waited before it reached the log comes first: the log's own times end when the bar does.
  const segments: Segment[] = [];
  let at = from;
  const rest = to - from - known;
  if (rest > 0) {
    segments.push({ kind: 'rest', from, to: from + rest });
    at = from + rest;
  }
  for (const [kind, micros] of parts) {
    const end = Math.min(to, at + Math.max(0, micros));
    if (end > at) segments.push({ kind, from: at, to: end });
    at = end;
  }
  return segments;
}

// How far a span has to move to lie inside its parent: as little as possible; if it is longer, the starts meet.
export function shift_into(from: number, to: number, parent_from: number, parent_to: number): number {
  if (from >= parent_from && to <= parent_to) return 0;
  if (to - from >= parent_to - parent_from || from < parent_from) return parent_from - from;
  return parent_to - to;
}

interface Place {
  depth: number;
  moved: number; // by which the parent was moved, and all below it with it
  parent: Row | null;
}

function row_of(span: TxnSpan, place: Place, align: boolean): Row {
  let from = num(span.startMicros) + place.moved;
  let to = from + Math.max(0, num(span.durationMicros));
  let own = 0;
  if (align && span.outsideParent && place.parent !== null && !place.parent.span.open) {
    own = shift_into(from, to, place.parent.from, place.parent.to);
    from += own;
    to += own;
  }
  const depth = Math.min(place.depth, depth_max);
  const shifted = place.moved + own;
  return { span, depth, from, to, shifted, is_lock: span.name === 'assent.lock', segments: segments_of(span, from, to) };
}

function rows_of(spans: readonly TxnSpan[], align: boolean): Row[] {
  const { roots, below } = children_of(spans);
  const rows: Row[] = [];
  const drawn = new Set<TxnSpan>();
  const visit = (first: TxnSpan) => {
    const stack: { span: TxnSpan; place: Place }[] = [{ span: first, place: { depth: 0, moved: 0, parent: null } }];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (drawn.has(next.span)) continue;
      drawn.add(next.span);
      const row = row_of(next.span, next.place, align);
      rows.push(row);
      const place = { depth: row.depth + 1, moved: row.shifted, parent: row };
      for (const child of (below.get(next.span.spanId) ?? []).slice().reverse()) stack.push({ span: child, place });
    }
  };
  for (const root of roots) visit(root);
  for (const span of spans) if (!drawn.has(span)) visit(span); // circles
  return rows;
}

function bands_of(phases: readonly TxnPhase[], start: number, answered: number | null, total: number): Band[] {
  return phases.map((phase) => {
    const from = num(phase.startUnixMicros) - start;
    const to = from + Math.max(0, num(phase.durationMicros));
    const behind = phase.phase === 'commit' || phase.phase === 'abort' || (answered !== null && from >= answered);
    return { phase: phase.phase, from, to, open: phase.open, share: behind || total <= 0 ? null : (to - from) / total };
  });
}

export function lay_out(trace: TxnTrace, align: boolean): Waterfall {
  const rows = rows_of(trace.spans, align);
  const answered = trace.answeredMicros === undefined ? null : num(trace.answeredMicros);
  const total = num(trace.totalMicros);
  const bands = bands_of(trace.phases, num(trace.summary.startedUnixMicros), answered, answered ?? total);
  const commit_point = trace.commitPointMicros === undefined ? null : num(trace.commitPointMicros);
  const groups = [...new Set([trace.summary.coordinator, ...rows.map((row) => row.span.group)])].filter((g) => g !== '');
  let end = Math.max(1, total, answered ?? 0, commit_point ?? 0);
  for (const row of rows) end = Math.max(end, row.to);
  for (const band of bands) end = Math.max(end, band.to);
  return { rows, bands, end, groups, commit_point, answered };
}

// ---- the window: what part of the time is drawn, on how many pixels ----

export interface Range {
  from: number;
  to: number;
}
const range_least = 10; // micros

// All of it, with a little air on the left and room for a bar's figures on the right; what started before the transaction did (clocks differ) counts too.
export function fit(fall: Waterfall): Range {
  const first = fall.rows.reduce((least, row) => Math.min(least, row.from), 0);
  const all = fall.end - first;
  return { from: first - all * 0.015, to: fall.end + all * 0.08 };
}

export function to_x(at: number, range: Range, width: number): number {
  return ((at - range.from) / (range.to - range.from)) * width;
}
export function to_micros(x: number, range: Range, width: number): number {
  return range.from + (x / Math.max(1, width)) * (range.to - range.from);
}

// factor below 1: nearer, around a moment that stays where it is. Never beyond what fit() shows.
export function zoom(range: Range, around: number, factor: number, whole: Range): Range {
  const span = Math.min(whole.to - whole.from, Math.max(range_least, (range.to - range.from) * factor));
  const share = (around - range.from) / (range.to - range.from);
  return clamp({ from: around - share * span, to: around - share * span + span }, whole);
}
export function pan(range: Range, micros: number, whole: Range): Range {
  return clamp({ from: range.from + micros, to: range.to + micros }, whole);
}
function clamp(range: Range, whole: Range): Range {
  const span = range.to - range.from;
  const from = Math.min(Math.max(range.from, whole.from), Math.max(whole.from, whole.to - span));
  return { from, to: from + span };
}

// Round steps (1, 2, 5 times a power of ten) so that ticks are at least so many pixels apart.
export function ticks(range: Range, width: number, apart = 90): number[] {
  const least = ((range.to - range.from) / Math.max(1, width)) * apart;
  const power = 10 ** Math.floor(Math.log10(Math.max(1e-9, least)));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= least) ?? 10 * power;
  const found: number[] = [];
  for (let at = Math.ceil(range.from / step) * step; at <= range.to && found.length < 64; at += step) {
    found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  }
  return found;
}

// ---- rows: only those that are seen are drawn ----

export const row_height = 24;

export interface Window {
  first: number;
  last: number; // one behind the last
}
export function rows_seen(scroll_top: number, height: number, rows: number): Window {
  const first = Math.max(0, Math.min(rows, Math.floor(scroll_top / row_height)));
  return { first, last: Math.max(first, Math.min(rows, Math.ceil((scroll_top + height) / row_height))) };
}
export function row_at(y: number, scroll_top: number, rows: number): number | null {
  const row = Math.floor((y + scroll_top) / row_height);
  return row >= 0 && row < rows ? row : null;
}

// The part after the last dot or slash tells spans apart: "Prepare", "propose", "lock".
export function label_of(span: TxnSpan): string {
  const name = span.name.replace(/^assent\.v1\./, '').replace(/^assent\./, '');
  return name.includes('/') ? name.slice(name.lastIndexOf('/') + 1) : name;
}
