// What is known of a transaction: three answers. Committed and aborted are for ever; unknown is "ask again", never "no".
import { decodeValue, type Value } from './values';
import type { Protocol, TxnState, WireResult, WireTransaction } from './wire';

/** The answer to one operation. */
export interface OperationResult {
  columns: string[];
  rows: Value[][];
  rowsAffected: bigint;
}

/** One run of a transaction by one leader of its coordinator group. Only equality means something. */
export interface Attempt {
  epoch: bigint;
  number: bigint;
}

export type AbortReason =
  | 'conflict'
  | 'constraint'
  | 'invalid'
  | 'timeout'
  | 'sealed'
  | 'too_old'
  | 'superseded'
  | 'reused_id'
  | 'too_large'
  | 'presumed'
  | 'refused'
  | 'gave_up'; // the function of run() called tx.abort()

interface Told {
  id: string;
  /** The group to ask later: the coordinator, or the shard of a transaction on one shard. */
  ask: string;
  participants: string[];
  answeredBy: string;
  /** An answer was lost on the way, and this was learned by sending or asking again. */
  wasInQuestion: boolean;
  /** Requests that reached for a leader. */
  sends: number;
  /** Of run(): the attempts that aborted before this one. */
  earlier: string[];
}

export interface Committed<T = undefined> extends Told {
  state: 'committed';
  /** What the function of run() returned; undefined when the outcome was learned by asking. */
  value: T | undefined;
  /** By shard, one for each operation; empty when the outcome was learned by asking. */
  results: Map<string, OperationResult[]>;
  /** By the name of a service's branch: what it answered when it voted yes. */
  answers: Map<string, Buffer>;
  decidedAt: Date | undefined;
  /** Of the committed content, where the cluster tells it. */
  attempt: Attempt | undefined;
}

export interface Aborted extends Told {
  state: 'aborted';
  reason: AbortReason;
  message: string;
  /** The shard or service that said no; empty: the coordinator. */
  participant: string;
  /** The violated one, with reason constraint. */
  constraint: string;
  /** The transaction that holds the lock, with reason conflict. */
  holder: string;
  /** A saga, whose steps are compensated one after the other: each in its turn. */
  inOrder: boolean;
}

export interface Unknown extends Told {
  state: 'unknown';
  /** What whoever was asked saw of it last. expired: older than the history that is kept. */
  seen: 'nothing' | 'running' | 'prepared' | 'expired';
  /** What happened, and how to find out. */
  note: string;
}

export type Outcome<T = undefined> = Committed<T> | Aborted | Unknown;
/** What can be asked later by id. */
export type Definite<T = undefined> = Committed<T> | Aborted;

export function isDefinite<T>(outcome: Outcome<T>): outcome is Definite<T> {
  return outcome.state !== 'unknown';
}

/** Whether a new attempt, under a new id, may escape what this one aborted for. */
export function worthANewAttempt(outcome: Aborted): boolean {
  return outcome.reason === 'conflict' || outcome.reason === 'superseded' || outcome.reason === 'presumed';
}

export function decodeResult(result: WireResult): OperationResult {
  return {
    columns: result.columns,
    rows: result.rows.map((row) => row.values.map(decodeValue)),
    rowsAffected: BigInt(result.rowsAffected),
  };
}

const seenOf: Record<TxnState, Unknown['seen']> = {
  UNKNOWN: 'nothing',
  RUNNING: 'running',
  PREPARED: 'prepared',
  EXPIRED: 'expired',
  COMMITTED: 'nothing',
  ABORTED: 'nothing',
};

export function told(id: string, ask: string): Told {
  return { id, ask, participants: [], answeredBy: '', wasInQuestion: false, sends: 0, earlier: [] };
}
export function unknown(id: string, ask: string, seen: Unknown['seen'], note: string): Unknown {
  return { ...told(id, ask), state: 'unknown', seen, note };
}
export function aborted(id: string, ask: string, reason: AbortReason, message: string): Aborted {
  return { ...told(id, ask), state: 'aborted', reason, message, participant: '', constraint: '', holder: '', inOrder: false };
}
export function committed<T>(id: string, ask: string, participants: string[], value: T | undefined): Committed<T> {
  const empty = { results: new Map(), answers: new Map(), decidedAt: undefined, attempt: undefined };
  return { ...told(id, ask), ...empty, participants, state: 'committed', value };
}

function noteFor(state: TxnState): string {
  switch (state) {
    case 'RUNNING':
      return 'it is running; ask again';
    case 'PREPARED':
      return 'it is prepared and not decided, as far as the shard knows; ask again';
    case 'EXPIRED':
      return 'it is older than the history that is kept';
    default:
      return 'whoever was asked knows nothing of it: it may not have begun yet; ask with seal, and after the answer it never will';
  }
}

export function decodeTransaction(message: WireTransaction, id: string, ask: string): Outcome<never> {
  const common = { ...told(id, ask), participants: message.participants, answeredBy: message.answeredBy };
  if (message.state === 'ABORTED') {
    const abort = message.abort;
    return {
      ...common,
      state: 'aborted',
      reason: (abort?.reason || 'presumed') as AbortReason,
      message: abort?.message ?? '',
      participant: abort?.participant ?? '',
      constraint: abort?.constraint ?? '',
      holder: abort?.holder ?? '',
      inOrder: message.mode === 'SAGA',
    };
  }
  if (message.state !== 'COMMITTED') return { ...common, state: 'unknown', seen: seenOf[message.state] ?? 'nothing', note: noteFor(message.state) };
  const services = new Set(message.services.map((one) => one.name));
  const out = committed<never>(id, ask, message.participants, undefined);
  for (const branch of message.results) {
    const results = branch.results.map(decodeResult);
    if (!services.has(branch.shard)) {
      out.results.set(branch.shard, results);
      continue;
    }
    const answer = results[0]?.rows[0]?.[0];
    out.answers.set(branch.shard, Buffer.isBuffer(answer) ? answer : Buffer.from(String(answer ?? '')));
  }
  const decided = Number(message.decidedAtMillis);
  out.answeredBy = message.answeredBy;
  out.decidedAt = decided > 0 ? new Date(decided) : undefined;
  out.attempt = message.attempt ? { epoch: BigInt(message.attempt.epoch), number: BigInt(message.attempt.number) } : undefined;
  return out;
}

export type { Protocol };
