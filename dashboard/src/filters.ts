// Filters of the transaction list. State and least duration are asked of the nodes; the rest narrows down the page that
// came. Pure.

import type { TxnSummary } from './api.js';
import { all_states } from './states.js';

export interface Filters {
  states: string[]; // empty: all
  slower: string; // "200ms"; empty: all
  text: string;
  participant: string;
  reason: string;
  protocol: string;
  cursor: string;
}

type Params = Readonly<Record<string, string>>;

export function filters_of(params: Params): Filters {
  const states = (params['state'] ?? '').toUpperCase().split(',');
  return {
    states: all_states.filter((state) => states.includes(state)),
    slower: params['slower'] ?? '',
    text: params['q'] ?? '',
    participant: params['participant'] ?? '',
    reason: params['reason'] ?? '',
    protocol: params['protocol'] ?? '',
    cursor: params['cursor'] ?? '',
  };
}

export function is_duration(text: string): boolean {
  return /^\d+(ms|s|m|h)$/.test(text);
}

// For GET /api/v1/txns. A duration that is none is left out: the field says so to its reader.
export function query_of(filters: Filters, limit: number): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (filters.states.length > 0) query.set('state', filters.states.join(','));
  if (is_duration(filters.slower)) query.set('slower_than', filters.slower);
  if (filters.cursor !== '') query.set('cursor', filters.cursor);
  return query.toString();
}

export function matches(txn: TxnSummary, filters: Filters): boolean {
  if (filters.participant !== '' && !txn.participants.includes(filters.participant)) return false;
  if (filters.reason !== '' && txn.reason !== filters.reason) return false;
  if (filters.protocol !== '' && txn.protocol !== filters.protocol) return false;
  const text = filters.text.trim().toLowerCase();
  if (text === '') return true;
  const where = [txn.txnId, txn.coordinator, txn.node, txn.reason, txn.message, txn.refusedBy, ...txn.participants];
  return where.some((part) => part.toLowerCase().includes(text));
}

export function is_narrowed(filters: Filters): boolean {
  return filters.text !== '' || filters.participant !== '' || filters.reason !== '' || filters.protocol !== '';
}

export function has_filters(filters: Filters): boolean {
  return is_narrowed(filters) || filters.states.length > 0 || filters.slower !== '';
}

// What a choice may be made of: the values that are there, in order.
export function values_of(txns: readonly TxnSummary[], pick: (txn: TxnSummary) => readonly string[]): string[] {
  return [...new Set(txns.flatMap(pick))].filter((value) => value !== '').sort();
}
