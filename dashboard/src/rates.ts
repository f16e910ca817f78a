// What the counts of the stream say about the last minutes: per second, and percentiles of the newest durations. Pure.

import { num, type Overview, type TxnSummary } from './api.js';

export interface Sample {
  at: number; // unix micros
  commits: number; // per second since the sample before
  aborts: number;
  running: number;
}

export const samples_max = 300;

// Counts start again at 0 with the process: then nothing is known of the second between.
export function sample_between(before: Overview, after: Overview): Sample | null {
  const seconds = (num(after.asOfUnixMicros) - num(before.asOfUnixMicros)) / 1e6;
  const commits = num(after.committed) - num(before.committed);
  const aborts = num(after.aborted) - num(before.aborted);
  if (seconds <= 0 || commits < 0 || aborts < 0 || before.node !== after.node) return null;
  return { at: num(after.asOfUnixMicros), commits: commits / seconds, aborts: aborts / seconds, running: num(after.running) };
}

// Of sorted values, the smallest that at least that share does not exceed.
export function percentile(sorted: readonly number[], share: number): number | null {
  if (sorted.length === 0) return null;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? null;
}

export interface Spread {
  n: number;
  p50: number;
  p95: number;
  p99: number;
}
export function spread_of(txns: readonly TxnSummary[]): Spread | null {
  const sorted = txns.filter((txn) => txn.answered).map((txn) => num(txn.durationMicros));
  sorted.sort((a, b) => a - b);
  const p50 = percentile(sorted, 0.5);
  const p95 = percentile(sorted, 0.95);
  const p99 = percentile(sorted, 0.99);
  return p50 === null || p95 === null || p99 === null ? null : { n: sorted.length, p50, p95, p99 };
}

export function reasons_of(txns: readonly TxnSummary[]): { reason: string; n: number }[] {
  const counts = new Map<string, number>();
  for (const txn of txns) {
    if (txn.outcome === 'aborted') counts.set(txn.reason, (counts.get(txn.reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, n]) => ({ reason, n })).sort((a, b) => b.n - a.n || a.reason.localeCompare(b.reason));
}

// The newest on top, each transaction once: what a stream says again replaces what it said before.
export function merge_newest(known: readonly TxnSummary[], came: readonly TxnSummary[], most: number): TxnSummary[] {
  const ids = new Set(came.map((txn) => txn.txnId));
  const all = [...came, ...known.filter((txn) => !ids.has(txn.txnId))];
  return all.sort((a, b) => num(b.startedUnixMicros) - num(a.startedUnixMicros)).slice(0, most);
}
