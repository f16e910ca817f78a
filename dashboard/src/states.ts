// What a state looks like. Colour never stands alone: each tone has a sign of its own shape and a word. Pure.
//
// Live is blue, committed green, in doubt amber. Each transaction is prepared for a moment; only one that stays so is
// called in doubt. An abort that the request itself asked for, or that a participant
// answered it with (a condition not met, an order that makes no sense), is grey: nothing is broken. An abort that the
// system is the reason of (conflict, timeout, a coordinator that is gone) is red.

import { num, type TxnSummary } from './api.js';

export type Tone = 'live' | 'committed' | 'declined' | 'fault' | 'doubt' | 'neutral';

const declined_reasons = new Set(['client', 'constraint', 'refused', 'invalid', 'reused_id', 'too_large']);

export const tones: Record<Tone, { sign: string; word: string }> = {
  live: { sign: '▶', word: 'running' },
  committed: { sign: '✓', word: 'committed' },
  declined: { sign: '○', word: 'aborted as asked' },
  fault: { sign: '✕', word: 'aborted by fault' },
  doubt: { sign: '◆', word: 'in doubt' },
  neutral: { sign: '·', word: '' },
};

export const all_states = [
  'ACTIVE',
  'PREPARING',
  'PREPARED',
  'PRECOMMITTED',
  'COMMITTING',
  'COMMITTED',
  'ABORTING',
  'ABORTED',
] as const;

export const open_states = all_states.filter((state) => state !== 'COMMITTED' && state !== 'ABORTED');

export function is_abort_declined(reason: string): boolean {
  return declined_reasons.has(reason);
}

// Longer than the protocols take when nothing is in their way.
export const doubt_micros = 1_000_000;

export function tone_of(txn: Pick<TxnSummary, 'state' | 'reason' | 'durationMicros'>): Tone {
  switch (txn.state) {
    case 'COMMITTED':
    case 'COMMITTING':
      return 'committed';
    case 'ABORTED':
    case 'ABORTING':
      return is_abort_declined(txn.reason) ? 'declined' : 'fault';
    case 'PREPARED':
    case 'PRECOMMITTED':
      return num(txn.durationMicros) >= doubt_micros ? 'doubt' : 'live';
    case 'ACTIVE':
    case 'PREPARING':
      return 'live';
    default:
      return 'neutral';
  }
}

export function event_tone(kind: string): Tone {
  if (kind === 'leader_lost') return 'fault';
  if (kind === 'leader' || kind === 'started') return 'live';
  return 'neutral';
}

// ok, degraded: 2/3, no leader
export function health_tone(health: string): Tone {
  if (health === 'ok') return 'committed';
  return health.startsWith('degraded') ? 'doubt' : 'fault';
}
