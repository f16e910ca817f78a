// One attempt of a transaction: what the function given to Client.run() reads, and what it wants done.
//
// Writes stay in the client until the function ends. A read at a shard sees those made at it before: the shard runs
// them, then the read, and takes everything back; it answers with a digest of what it found. At the end everything is
// sent as one transaction, in which every read must answer again what it answered here, and otherwise nothing happens
// and the function runs once more. So the function must do nothing but through this object that cannot be done again.
//
// What is read with random() or the clock in it never answers the same again and never commits; write it instead. At
// one shard, operations take effect in the order in which they were called, awaited or not. Used inside the function only.
import { type ClientUnaryCall, Metadata, type ServiceError } from '@grpc/grpc-js';

import { AssentError } from './errors';
import { isName } from './names';
import type { Rehearsal } from './operations';
import type { OperationResult } from './outcome';
import { Enlistments, withTransaction } from './propagation';
import { bytes, encodeValue, int64, type Parameter } from './values';
import type { Mode, WireOperation, WireService } from './wire';

/** A service that takes part: `{ name: 'stock', address: '10.0.0.7:9000' }`, or 'stock@10.0.0.7:9000'. */
export interface Service {
  /** Its own name as a participant, so that nobody else at that address takes part. */
  name: string;
  /** host:port, as the coordinator's nodes reach it. */
  address: string;
  /** Of its branch: another one for each call of the transaction. Chosen when it is left out. */
  branch?: string;
  /**
   * Of a saga: a step that cannot be refused, only delayed. It is called when the saga is committed, and until it is
   * done; so it comes behind all that are not, and its answer is not in the outcome.
   */
  retriable?: boolean;
  /** When it has not voted so many ms after it was first called, the transaction aborts. Not with retriable. */
  timeout?: number;
  /** ... or after so many calls. */
  maxCalls?: number;
}

/**
 * What a transaction is to its services (docs/SERVICES.md): each promises and shows nothing (atomic); try, confirm,
 * cancel (tcc); each does its step for all to see and compensates it, one after the other (saga) or all at once.
 */
export type ServiceMode = 'atomic' | 'tcc' | 'saga' | 'concurrent-saga';
export const wireMode: Record<ServiceMode, Mode> = { atomic: 'ATOMIC', tcc: 'TCC', saga: 'SAGA', 'concurrent-saga': 'CONCURRENT_SAGA' };
export const isSaga = (mode: ServiceMode): boolean => mode === 'saga' || mode === 'concurrent-saga';

export interface Bounds {
  floor?: bigint | number;
  ceiling?: bigint | number;
  /** Others may add to the key at the same time; the bounds hold whichever of them commit. */
  escrow?: boolean;
}

/** What came of the function. */
export interface Intent {
  branches: { shard: string; operations: WireOperation[] }[];
  services: WireService[];
  writes: boolean;
  /** By shard: the earliest index that a read reflects, and the operations up to the last read. */
  seen: Map<string, { since: bigint; operations: number }>;
  failure: AssentError | undefined; // of a read
}

/** Thrown by abort(), for the function to end at once; run() knows it. */
export class GaveUp extends Error {
  constructor(readonly why: string) {
    super(why);
    this.name = 'GaveUp';
  }
}

interface Slot {
  operation: WireOperation;
  writes: boolean;
  read: boolean;
}
interface AtShard {
  slots: Slot[];
  since: bigint | undefined;
  turn: Promise<unknown>; // of the reads, one after the other
}

export type RehearseAt = (shard: string, operations: WireOperation[]) => Promise<Rehearsal>;

export class Txn {
  readonly #shards = new Map<string, AtShard>();
  readonly #services: WireService[] = [];
  readonly #enlistments = new Enlistments();
  #calls = 0;
  #over = false;
  #failure: AssentError | undefined;

  constructor(
    /** Of this attempt. */
    readonly id: string,
    /** When time is up: for the deadline of calls to others. */
    readonly deadline: Date,
    private readonly coordinator: string,
    private readonly rehearse: RehearseAt,
    private readonly mode: ServiceMode = 'atomic',
  ) {}

  // ---- reads: asked now ----

  /** The value of the key; undefined when it is absent. */
  async get(shard: string, key: string): Promise<Buffer | undefined> {
    const [row] = (await this.#read(shard, { get: { key } })).rows;
    const value = row?.[0];
    if (value === undefined || value === null) return undefined;
    return Buffer.isBuffer(value) ? value : Buffer.from(String(value));
  }
  /** The rows of a SELECT; also a statement that writes and returns rows. Parameters for ?1, ?2, ... */
  query(shard: string, sql: string, ...parameters: Parameter[]): Promise<OperationResult> {
    return this.#read(shard, { sql: { text: sql, parameters: parameters.map(encodeValue) } });
  }

  // ---- writes: kept here until the function ends ----

  execute(shard: string, sql: string, ...parameters: Parameter[]): void {
    this.#write(shard, { sql: { text: sql, parameters: parameters.map(encodeValue) } });
  }
  put(shard: string, key: string, value: string | Uint8Array): void {
    this.#write(shard, { put: { key, value: bytes(value) } });
  }
  erase(shard: string, key: string): void {
    this.#write(shard, { erase: { key } });
  }
  /** The key must hold this value in the end, or (undefined) must not exist. */
  expect(shard: string, key: string, value: string | Uint8Array | undefined): void {
    this.#write(shard, { expect: value === undefined ? { key } : { key, value: bytes(value) } });
  }
  /** Adds to a key that holds a decimal integer. */
  add(shard: string, key: string, delta: bigint | number, bounds: Bounds = {}): void {
    const { floor, ceiling, escrow = false } = bounds;
    this.#write(shard, {
      add: {
        key,
        delta: int64(delta, 'delta'),
        escrow,
        ...(floor === undefined ? {} : { floor: int64(floor, 'floor') }),
        ...(ceiling === undefined ? {} : { ceiling: int64(ceiling, 'ceiling') }),
      },
    });
  }

  // ---- services ----

  /** The service takes part with this payload, whose meaning is its own. The name of its branch. */
  call(service: string | Service, payload: string | Uint8Array): string {
    this.#open();
    const { name, address, branch, retriable = false, timeout = 0, maxCalls = 0 } = typeof service === 'string' ? parseService(service) : service;
    if (!isName(name) || !/^.+:\d+$/.test(address)) {
      throw new AssentError('invalid', `a service has a name and an address host:port, not '${name}' and '${address}'`);
    }
    if (retriable && !isSaga(this.mode)) throw new AssentError('invalid', `service ${name} is retriable, which only a saga's steps are; the mode is ${this.mode}`);
    if (!retriable && this.#services.some((one) => one.retriable)) {
      throw new AssentError('invalid', `service ${name} follows a retriable one: what can still be compensated comes first`);
    }
    const taken = (text: string): boolean => this.#services.some((one) => one.name === text);
    let chosen = branch ?? name;
    for (let i = 2; branch === undefined && taken(chosen); ++i) chosen = `${name}.${i}`;
    if (taken(chosen)) throw new AssentError('invalid', `the transaction has a branch ${chosen} already: each call needs its own`);
    this.#services.push({ name: chosen, target: address, payload: bytes(payload), participant: name, retriable, timeoutMillis: Math.ceil(timeout), maxCalls });
    return chosen;
  }

  /** For a call to a service that enlists itself: a copy of the metadata with the transaction appended. */
  metadata(existing?: Metadata): Metadata {
    this.#open();
    return withTransaction({ txnId: this.id, branch: '', coordinator: this.coordinator }, ++this.#calls, existing);
  }
  /** Who wants to take part, from the trailing metadata of such a call. How many. */
  collect(trailer: Metadata): number {
    this.#open();
    return this.#enlistments.collect(trailer, false);
  }
  /** metadata() and collect() around a unary call: tx.unary((metadata, done) => ledger.credit(request, metadata, done)) */
  async unary<R>(
    call: (metadata: Metadata, done: (error: ServiceError | null, response?: R) => void) => ClientUnaryCall,
    existing?: Metadata,
  ): Promise<R> {
    const { response, trailer } = await new Promise<{ response: R; trailer: Metadata }>((resolve, reject) => {
      let answer: R | undefined;
      const started = call(this.metadata(existing), (error, response) => (error ? reject(error) : (answer = response)));
      started.on('status', (status) => resolve({ response: answer as R, trailer: status.metadata }));
    });
    this.collect(trailer);
    return response;
  }

  /** Nothing of this is to happen: ends the function, and run() with `aborted`, unless what was read has changed. */
  abort(why: string): never {
    throw new GaveUp(why);
  }

  // ---- for run() ----

  /** Waits for reads that nobody awaited; nothing can be added after it. */
  async finish(): Promise<Intent> {
    this.#over = true;
    await Promise.all([...this.#shards.values()].map((at) => at.turn));
    const enlisted = this.#enlistments.all.map((one) => ({ name: one.branch, target: one.address, payload: one.payload, participant: one.participant }));
    // Who enlisted itself can be compensated; what is retriable comes last.
    const services = [...this.#services.filter((one) => !one.retriable), ...enlisted, ...this.#services.filter((one) => one.retriable)];
    const intent: Intent = { branches: [], services, writes: services.length > 0, seen: new Map(), failure: this.#failure };
    for (const [shard, at] of this.#shards) {
      intent.branches.push({ shard, operations: at.slots.map((slot) => slot.operation) });
      intent.writes ||= at.slots.some((slot) => slot.writes);
      const last = at.slots.map((slot) => slot.read).lastIndexOf(true);
      if (at.since !== undefined) intent.seen.set(shard, { since: at.since, operations: last + 1 });
    }
    return intent;
  }

  #open(): void {
    if (this.#over) throw new AssentError('invalid', 'the transaction is over: its object is for use inside the function only; await what you call there');
  }

  #at(shard: string): AtShard {
    this.#open();
    if (!shard) throw new AssentError('invalid', 'the shard has no name');
    let at = this.#shards.get(shard);
    if (!at) this.#shards.set(shard, (at = { slots: [], since: undefined, turn: Promise.resolve() }));
    return at;
  }

  #write(shard: string, operation: WireOperation): void {
    this.#at(shard).slots.push({ operation, writes: true, read: false });
  }

  // Its place among the operations is that of the call; it is asked when the reads before it were answered.
  #read(shard: string, operation: WireOperation): Promise<OperationResult> {
    let at: AtShard;
    try {
      at = this.#at(shard);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    const slot: Slot = { operation, writes: false, read: true };
    const place = at.slots.push(slot) - 1;
    const answer = at.turn.then(() => this.#ask(shard, at, slot, place));
    at.turn = answer.catch(() => undefined);
    return answer;
  }

  // Sent with the writes before it, and nothing else: earlier reads change nothing.
  async #ask(shard: string, at: AtShard, slot: Slot, place: number): Promise<OperationResult> {
    if (this.#failure) throw this.#failure;
    const before = at.slots.slice(0, place).filter((one) => one.writes);
    let answer: Rehearsal;
    try {
      answer = await this.rehearse(shard, [...before.map((one) => one.operation), slot.operation]);
    } catch (error) {
      this.#failure ??= error instanceof AssentError ? error : new AssentError('internal', String(error));
      throw this.#failure;
    }
    const result = answer.results[answer.results.length - 1];
    const expected = answer.digests[answer.digests.length - 1];
    if (!result || expected === undefined) throw new AssentError('internal', `shard ${shard} answered nothing`);
    if (slot.operation.sql) slot.operation = { sql: { ...slot.operation.sql, expected } };
    if (slot.operation.get) slot.operation = { get: { ...slot.operation.get, expected } };
    slot.writes = result.rowsAffected > 0n;
    at.since = at.since === undefined || answer.index < at.since ? answer.index : at.since;
    return result;
  }
}

function parseService(text: string): Service {
  const at = text.indexOf('@');
  if (at <= 0) throw new AssentError('invalid', `a service is NAME@HOST:PORT, not '${text}'`);
  return { name: text.slice(0, at), address: text.slice(at + 1) };
}
