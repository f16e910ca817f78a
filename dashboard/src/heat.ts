// How long transactions and their phases took, counted by time and by the buckets of the node's own histograms; and
// which transactions stand in a rectangle of that. Pure.

import { num, type TxnSummary } from './api.js';

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

export function heat_of(txns: readonly TxnSummary[], columns: number): Heat {
  const starts = txns.map((txn) => num(txn.startedUnixMicros));
  const from = starts.length === 0 ? 0 : Math.min(...starts);
  const to = starts.length === 0 ? 0 : Math.max(...starts);
  const heat: Heat = { from, width: Math.max(1, Math.ceil((to - from + 1) / columns)), columns, strips: [] };
  for (const name of strip_names) {
    const strip: Strip = { name, cells: new Array<number>(columns * rows).fill(0), most: 0 };
    txns.forEach((txn, i) => {
      const micros = micros_of(txn, name);
      if (micros === null) return;
      const at = column_of(heat, starts[i] ?? from) * rows + row_of(micros);
      const count = (strip.cells[at] ?? 0) + 1;
      strip.cells[at] = count;
      strip.most = Math.max(strip.most, count);
    });
    if (strip.most > 0) heat.strips.push(strip);
  }
  return heat;
}

export function column_of(heat: Heat, started: number): number {
  return Math.min(heat.columns - 1, Math.max(0, Math.floor((started - heat.from) / heat.width)));
}

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

// The slowest first.
export function picked(txns: readonly TxnSummary[], pick: Pick): { txn: TxnSummary; micros: number }[] {
  return txns
    .flatMap((txn) => {
      const micros = micros_of(txn, pick.strip);
      const at = num(txn.startedUnixMicros);
      if (micros === null || at < pick.from || at > pick.to) return [];
      const row = row_of(micros);
      return row >= pick.low && row <= pick.high ? [{ txn, micros }] : [];
    })
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
