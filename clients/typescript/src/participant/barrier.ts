// What the author of a service writes to take part in transactions, and the seam that a database implements under it.
//
// Who calls a participant: the host, for the coordinator, and the resolver; never two at a time for one branch, and never
// two at a time on one connection. Each function runs inside a local transaction of the barrier's, in which the register
// is written as well: what it does on the given connection happens with the register or not at all, and what it does
// elsewhere may happen twice or in vain. So, on that connection: no BEGIN, COMMIT, ROLLBACK, nor a statement that commits
// by itself; savepoints are fine; every query is awaited.
//
// The barrier sees to the order: prepare at most once for a branch; after a yes exactly one of commit and abort, once;
// neither after a no. "Once" counts what took effect: a call that ended without the local transaction (a crash, an error)
// comes again, with nothing left of the first.
import type { Attempt } from '../outcome';
import type { Register } from './register';

/** A service's part in a transaction. txnId and name together are unique, for ever. */
export interface Branch {
  readonly txnId: string;
  readonly name: string;
  readonly attempt: Attempt;
  /** The group that decides. */
  readonly coordinator: string;
}

/** The answer to a prepare. A yes is a promise: whatever happens, the commit will not fail for want of anything. */
export type Vote =
  | { kind: 'yes' | 'read_only'; result: Uint8Array } //
  | { kind: 'no'; refusal: string; message: string }
  | { kind: 'later'; message: string };

export function yes(result: string | Uint8Array = ''): Vote {
  return { kind: 'yes', result: Buffer.from(result as Uint8Array) };
}
/**
 * Nothing is to be committed or undone, nothing is held. Only when what was read cannot come to matter by what others do
 * until the transaction ends; say yes when in doubt.
 */
export function readOnly(result: string | Uint8Array = ''): Vote {
  return { kind: 'read_only', result: Buffer.from(result as Uint8Array) };
}
/** refusal: a word for programs, as INSUFFICIENT_FUNDS; message: a sentence for people. */
export function no(refusal: string, message: string): Extract<Vote, { kind: 'no' }> {
  return { kind: 'no', refusal, message };
}

/**
 * No vote yet: what was done is rolled back, nothing is recorded, and the call comes again. For what is in the way for a
 * while, and for retriable steps of a saga, which must not say no: a no is for good.
 */
export function later(message: string): Vote {
  return { kind: 'later', message };
}

export interface Participant<Connection> {
  /**
   * Does the work as far as it can be undone, or reserves what the commit will need; or refuses. After a no all that it
   * did on the connection is rolled back. What it throws is a no, but for what the database may say at any time (a
   * deadlock, a lock that took too long, a lost connection): that is rolled back, and the call comes again.
   */
  prepare(branch: Branch, db: Connection, payload: Buffer): Promise<Vote> | Vote;
  /** Makes it final, with the payload of the prepare. After a yes it must come to succeed: what it throws is told to the coordinator, and it is called again. */
  commit(branch: Branch, db: Connection, payload: Buffer): Promise<void> | void;
  /** Takes back what prepare did, with the payload of the prepare. Throws: called again. */
  abort(branch: Branch, db: Connection, payload: Buffer): Promise<void> | void;
}

// ---- the seam ----

export interface BranchKey {
  txnId: string;
  name: string;
}

/** A branch whose register holds a yes that has not ended. */
export interface InDoubt {
  txnId: string;
  name: string;
  attempt: Attempt;
  coordinator: string;
  /** Milliseconds since 1970, by the service's clock. */
  since: number;
}

/**
 * conflict: the database took it back for another's sake, and the whole call may be tried again; busy: others hold what
 * it needs for too long; lost: the connection; refused: the barrier will not work like this; io: anything else.
 */
export type LocalErrorKind = 'conflict' | 'busy' | 'lost' | 'refused' | 'io';
export class LocalError extends Error {
  constructor(
    readonly kind: LocalErrorKind,
    message: string,
  ) {
    super(message);
    this.name = 'LocalError';
  }
}

/** One connection of the service's database, taken for one call. Throws LocalError; after that only rollback() is called. */
export interface LocalTransaction<Connection> {
  readonly connection: Connection;
  begin(access: 'read' | 'write'): Promise<void>;
  /** To write: locked until the end. Sees what others committed before this call. */
  load(key: BranchKey): Promise<Register | undefined>;
  /** False: there is a row already. Waits for whoever is inserting or deleting the same one. */
  insert(key: BranchKey, row: Register): Promise<boolean>;
  update(key: BranchKey, row: Register): Promise<void>;
  /** Branches of transactions that were made until then (milliseconds), and have no row, are forgotten. */
  forgottenThrough(): Promise<number>;
  /** Around the service's work. keepWork() throws when the work has ended the local transaction or left it beyond use. */
  beginWork(): Promise<void>;
  keepWork(): Promise<void>;
  undoWork(): Promise<void>;
  /** Durable when it returns. When it throws it may have happened. */
  commit(): Promise<void>;
  /** Whatever state the connection is in; never throws. */
  rollback(): Promise<void>;
  /** Branches in doubt since before the time, oldest first. Outside of begin() and commit(). */
  inDoubt(before: number, atMost: number): Promise<InDoubt[]>;
  /** Deletes ended registers of transactions from before the time that ended before it, and remembers through when. */
  forget(before: number, atMost: number): Promise<number>;
  /** What the service's own code threw, if the database said it; nothing when it is the service's own. */
  classify(error: unknown): LocalErrorKind | undefined;
  /** Gives the connection back. */
  release(): void;
}

export interface Barrier<Connection> {
  /** Waits for a free connection, up to a time of the barrier's own. */
  take(): Promise<LocalTransaction<Connection>>;
  close(): Promise<void>;
}
