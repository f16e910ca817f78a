// How long transactions and their phases took, as the nodes counted it: by time and by the buckets of their own
// histograms; and the question which transactions stand in a rectangle of that. Pure.

import { num, type LatencyPage, type TxnSummary } from './api.js';

export const strip_names = ['total', 'execute', 'prepare', 'precommit', 'decide', 'commit', 'abort'] as const;
export type StripName = (typeof strip_names)[number];

const first_bound = 250; // micros; each next one is twice that
export const bounds: readonly number[] = Array.from({ length: 17 }, (_, i) => first_bound * 2 ** i);
export const rows = bounds.length + 1; // the last: longer than any bound

export function row_of(micros: number): number {
  const found = bounds.findIndex((bound) => micros <= bound);
  return found < 0 ? bounds.length : found;
}

// null: it had no such phase.
export function micros_of(txn: TxnSummary, strip: StripName): number | null {
  if (strip === 'total') return num(txn.durationMicros);
  const parts = txn.phases.filter((phase) => phase.phase === strip);
  return parts.length === 0 ? null : parts.reduce((sum, phase) => sum + num(phase.durationMicros), 0);
}

export interface Strip {
  name: StripName;
  cells: number[]; // [column * rows + row]: how many
  most: number;
}
export interface Heat {
  from: number; // unix micros: of the first start
  width: number; // micros of a column
  columns: number;
  strips: Strip[]; // that have anything
}

// What a node sends is not trusted to fit.
export function heat_of(page: LatencyPage): Heat {
  const columns = Math.max(1, Math.min(1_000, Math.floor(num(page.columns))));
  const heat: Heat = { from: num(page.fromUnixMicros), width: Math.max(1, num(page.columnMicros)), columns, strips: [] };
  if (page.rows !== rows) return heat;
  for (const name of strip_names) {
    const counts = page.strips.find((one) => one.name === name)?.counts;
    if (counts === undefined || counts.length !== columns * rows) continue;
    const cells = counts.map((one) => num(one));
    heat.strips.push({ name, cells, most: Math.max(1, ...cells) });
  }
  return heat;
}

export const all_time = { from: 0, to: 9_007_199_254_740_990 };

// A rectangle: of one strip, from a start to another, from a row to another. All included.
export interface Pick {
  strip: StripName;
  from: number; // unix micros
  to: number;
  low: number; // rows
  high: number;
}

export function pick_of(heat: Heat, strip: StripName, a: { column: number; row: number }, b: { column: number; row: number }): Pick {
  const [left, right] = [Math.min(a.column, b.column), Math.max(a.column, b.column)];
  return {
    strip, from: heat.from + left * heat.width, to: heat.from + (right + 1) * heat.width - 1, low: Math.min(a.row, b.row), high: Math.max(a.row, b.row),
  };
}

// For GET /api/v1/txns: the transactions in it.
export function query_of(pick: Pick, limit: number): string {
  const query = new URLSearchParams({ limit: String(limit), phases: 'true', by: pick.strip });
  if (pick.from > 0) query.set('started_from', String(pick.from));
  if (pick.to < all_time.to) query.set('started_to', String(pick.to + 1));
  if (pick.low > 0) query.set('over', String(bounds[pick.low - 1] ?? 0));
  const upto = bounds[pick.high];
  if (upto !== undefined) query.set('upto', String(upto));
  return query.toString();
}

// The slowest first.
export function slowest(txns: readonly TxnSummary[], strip: StripName): { txn: TxnSummary; micros: number }[] {
  return txns
    .map((txn) => ({ txn, micros: micros_of(txn, strip) ?? 0 }))
    .sort((a, b) => b.micros - a.micros || a.txn.txnId.localeCompare(b.txn.txnId));
}

// In the url: prepare,1790000000000000,1790000001000000,3,17
export function print_pick(pick: Pick): string {
  return [pick.strip, pick.from, pick.to, pick.low, pick.high].join(',');
}
export function parse_pick(text: string | undefined): Pick | null {
  const parts = (text ?? '').split(',');
  const strip = strip_names.find((name) => name === parts[0]);
  const [from, to, low, high] = parts.slice(1).map((part) => (/^\d{1,16}$/.test(part) ? Number(part) : Number.NaN));
  if (strip === undefined || parts.length !== 5 || from === undefined || to === undefined || low === undefined || high === undefined) return null;
  if (!(from <= to && low <= high && high < rows)) return null;
  return { strip, from, to, low, high };
}
