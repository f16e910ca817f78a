// How a transaction travels with ordinary calls, explicitly: no storage that follows the call, no interceptor; metadata
// is appended, never replaced. docs/SERVICES.md and participant.proto have the rules.
//
// Who begins is Txn (txn.ts). A handler:
//   const tx = new IncomingTransaction(call.metadata);
//   if (tx.caller) tx.enlist({ participant: 'ledger', address: ownAddress, payload });
//   callback(null, response, tx.trailer());
import { Metadata } from '@grpc/grpc-js';

import { AssentError } from './errors';
import { isTxnId } from './ids';
import { isName, nameBytesMax } from './names';
import { EnlistmentMessage } from './wire';

export const txidKey = 'assent-txid';
export const branchKey = 'assent-branch';
export const coordinatorKey = 'assent-coordinator';
export const enlistedKey = 'assent-enlisted-bin';

export const enlistedPayloadBytesMax = 4_096;
/** Of all enlistments in one answer: gRPC refuses more than 8 KiB of metadata, and base64 takes a third more. */
export const enlistedBytesMax = 5_500;

/** A service that wants to take part. */
export interface Enlistment {
  branch: string;
  participant: string;
  address: string; // host:port
  payload: Uint8Array;
}

/** The transaction of whoever called. */
export interface CallerTransaction {
  txnId: string;
  branch: string; // a prefix for names of branches
  coordinator: string;
}

function check(one: Enlistment): void {
  const bad = (what: string): never => {
    throw new AssentError('invalid', what);
  };
  if (!isName(one.branch)) {
    bad(`the branch of an enlistment is 1 to ${nameBytesMax} bytes of text: too many calls one inside the other, or a participant's name that is too long`);
  }
  if (!isName(one.participant)) bad('the participant of an enlistment has no valid name');
  if (!isName(one.address) || !/^.+:.+$/s.test(one.address)) bad('the address of an enlistment is no host:port');
  if (one.payload.length > enlistedPayloadBytesMax) {
    bad(`the payload of an enlistment has ${one.payload.length} bytes, above the ${enlistedPayloadBytesMax} that metadata carries: keep the work in the service, and let the payload name it`);
  }
}

export function encodeEnlistment(one: Enlistment): Buffer {
  check(one);
  return EnlistmentMessage.serialize(one);
}

export function decodeEnlistment(bytes: Buffer): Enlistment {
  let message;
  try {
    if (bytes.length > enlistedBytesMax) throw new Error('too long');
    message = EnlistmentMessage.deserialize(bytes);
  } catch {
    throw new AssentError('invalid', 'an enlistment cannot be read');
  }
  const out: Enlistment = {
    branch: message.branch,
    participant: message.participant,
    address: message.address,
    payload: Buffer.from(message.payload),
  };
  check(out);
  return out;
}

/** A copy of the metadata with the transaction appended. Throws when it carries one already. */
export function withTransaction(caller: CallerTransaction, call: number, existing?: Metadata): Metadata {
  const out = existing?.clone() ?? new Metadata();
  if (out.get(txidKey).length > 0) throw new AssentError('invalid', `metadata ${txidKey} is there already: a call belongs to one transaction`);
  out.add(txidKey, caller.txnId);
  out.add(branchKey, caller.branch ? `${caller.branch}.${call}` : String(call));
  out.add(coordinatorKey, caller.coordinator);
  return out;
}

/** Enlistments gathered from calls: each branch once, in the order that they came. */
export class Enlistments {
  readonly all: Enlistment[] = [];
  #bytes = 0;

  /** False: it is there already, as it is (a call that was sent twice). */
  add(one: Enlistment, bounded: boolean): boolean {
    const there = this.all.find((other) => other.branch === one.branch);
    if (there) {
      const same = there.participant === one.participant && there.address === one.address && Buffer.compare(there.payload, one.payload) === 0;
      if (same) return false;
      throw new AssentError('refused', `the branch ${one.branch} is enlisted already, with other content`);
    }
    const size = encodeEnlistment(one).length;
    if (bounded && this.#bytes + size > enlistedBytesMax) {
      throw new AssentError('refused', `the enlistments of one answer take more than ${enlistedBytesMax} bytes, which metadata does not carry: make payloads smaller`);
    }
    this.#bytes += size;
    this.all.push(one);
    return true;
  }

  /** From the trailing metadata of a call. How many there were. */
  collect(trailer: Metadata, bounded: boolean): number {
    const values = trailer.get(enlistedKey);
    for (const value of values) this.add(decodeEnlistment(Buffer.isBuffer(value) ? value : Buffer.from(value)), bounded);
    return values.length;
  }
}

// The value of the key; throws when there are several that differ.
function single(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key).map(String);
  if (values.some((value) => value !== values[0])) throw new AssentError('invalid', `metadata ${key} has several values that differ`);
  return values[0];
}

/** Nothing when no key is there. Throws AssentError: no id, two different ones, a key without the others. */
export function readCaller(metadata: Metadata): CallerTransaction | undefined {
  const txnId = single(metadata, txidKey);
  const branch = single(metadata, branchKey);
  const coordinator = single(metadata, coordinatorKey);
  if (txnId === undefined && branch === undefined && coordinator === undefined) return undefined;
  if (txnId === undefined || branch === undefined) throw new AssentError('invalid', `metadata ${txidKey} and ${branchKey} go together`);
  if (!isTxnId(txnId)) throw new AssentError('invalid', `metadata ${txidKey} is no transaction id`);
  if (!isName(branch) || (coordinator && !isName(coordinator))) {
    throw new AssentError('invalid', `metadata ${branchKey} or ${coordinatorKey} is no valid name`);
  }
  return { txnId, branch, coordinator: coordinator ?? '' };
}

/** The transaction that a handler was called in. Belongs to one call. */
export class IncomingTransaction {
  /** Nothing: the call belongs to no transaction. */
  readonly caller: CallerTransaction | undefined;
  readonly #told = new Enlistments();
  #calls = 0;

  /** Throws AssentError when the metadata cannot be read. */
  constructor(metadata: Metadata) {
    this.caller = readCaller(metadata);
  }

  /** This service takes part. The name of its branch. */
  enlist(one: { participant: string; address: string; payload: Uint8Array | string }): string {
    if (!this.caller) throw new AssentError('refused', 'the call belongs to no transaction; there is nothing to join');
    const branch = `${this.caller.branch}/${one.participant}`;
    this.#told.add({ ...one, branch, payload: Buffer.from(one.payload as Uint8Array) }, true);
    return branch;
  }

  /** For calls to others on the transaction's behalf. */
  metadata(existing?: Metadata): Metadata {
    if (!this.caller) return existing?.clone() ?? new Metadata();
    return withTransaction(this.caller, ++this.#calls, existing);
  }
  /** What the others answered is passed on. */
  collect(trailer: Metadata): number {
    return this.#told.collect(trailer, true);
  }

  /**
   * The trailing metadata of the handler's answer: the existing one, and the enlistments appended. `warn` is told when
   * the handler was called in a transaction and neither enlisted anybody nor passed it on.
   */
  trailer(existing?: Metadata, warn?: (message: string) => void): Metadata {
    const out = existing?.clone() ?? new Metadata();
    for (const one of this.#told.all) out.add(enlistedKey, encodeEnlistment(one));
    if (this.caller && this.#calls === 0 && this.#told.all.length === 0) {
      warn?.(`a call brought transaction ${this.caller.txnId} and its handler enlisted nobody: what it did is not part of the transaction`);
    }
    return out;
  }
}
