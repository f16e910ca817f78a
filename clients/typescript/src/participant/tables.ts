// What the barriers of all databases have in common: the columns of their two tables, which are those of the C++ library
// (service/tables.h), how a register is written into them, and how one is read back.
//
// Numbers of an attempt are unsigned and SQL's are not: they are stored as the signed number of the same 64 bits.
import { randomBytes } from 'node:crypto';

import { createdAt, isTxnId } from '../ids';
import { tidyText } from '../names';
import { LocalError, type InDoubt } from './barrier';
import { writtenStates, type BranchState, type Register } from './register';

export const branchesTable = 'assent_branches';
export const barrierTable = 'assent_barrier';
export const tablesVersion = 1;

const columns: Record<string, readonly string[]> = {
  [branchesTable]: ['txn_id', 'branch', 'state', 'epoch', 'number', 'coordinator', 'refusal', 'message', 'result', 'payload', 'changed_at'],
  [barrierTable]: ['id', 'version', 'identity', 'forgotten_through'],
};

/** Throws unless the columns that are there are exactly those; says what is missing, and what to do. */
export function checkColumns(table: string, found: readonly string[]): void {
  const wanted = columns[table] ?? [];
  const missing = wanted.filter((name) => !found.includes(name));
  const strange = found.filter((name) => !wanted.includes(name));
  if (missing.length === 0 && strange.length === 0) return;
  const lacks = missing.length > 0 ? ` lacks ${missing.join(', ')}` : '';
  const has = strange.length > 0 ? `${lacks ? ',' : ''} has ${strange.join(', ')} besides` : '';
  const next = "it is not the barrier's. Rename it, and the barrier makes its own; or give the service another database";
  throw new LocalError('refused', `table ${table}${lacks}${has}: ${next}`);
}

export function checkVersion(found: string | undefined): void {
  if (found === String(tablesVersion)) return;
  throw new LocalError('refused', `the barrier's tables are of version ${found ?? '?'}, and this program knows version ${tablesVersion}`);
}

/** A register as columns behind the key; numbers as decimal text. */
export interface Row {
  state: string;
  epoch: string | null;
  number: string | null;
  coordinator: string;
  refusal: string;
  message: string;
  result: Buffer;
  payload: Buffer;
  changedAt: string;
}

export function toRow(value: Register): Row {
  const { state, attempt, coordinator, refusal, message, result, payload } = value;
  const signed = (number: bigint): string => BigInt.asIntN(64, number).toString();
  return {
    state,
    epoch: attempt ? signed(attempt.epoch) : null,
    number: attempt ? signed(attempt.number) : null,
    coordinator,
    refusal,
    message,
    result,
    payload,
    changedAt: String(value.changedAt),
  };
}

function corrupt(what: string): LocalError {
  return new LocalError('io', `table ${branchesTable} was written by somebody else: ${what}`);
}
const unsigned = (text: string): bigint => BigInt.asUintN(64, BigInt(text));

export function fromRow(row: Row): Register {
  const state = row.state as BranchState;
  if (!writtenStates.includes(state)) throw corrupt(`'${tidyText(row.state, 40)}' is no state of a branch`);
  const { epoch, number, coordinator, refusal, message, result, payload } = row;
  const live = state === 'prepared' || state === 'read_only' || state === 'committed';
  if ((epoch === null) !== (number === null) || (live && epoch === null)) throw corrupt(`a branch that is ${state} has no attempt`);
  const attempt = epoch === null || number === null ? undefined : { epoch: unsigned(epoch), number: unsigned(number) };
  return { state, attempt, coordinator, refusal, message, result, payload, changedAt: Math.max(0, Number(row.changedAt)) };
}

export function inDoubtFrom(row: { txnId: string; name: string; epoch: string; number: string; coordinator: string; since: string }): InDoubt {
  const { txnId, name, epoch, number, coordinator, since } = row;
  if (!isTxnId(txnId)) throw corrupt(`'${tidyText(txnId, 40)}' is no transaction id`);
  return { txnId, name, coordinator, attempt: { epoch: unsigned(epoch), number: unsigned(number) }, since: Math.max(0, Number(since)) };
}

/** The smallest id of a transaction that was made at that time. */
export function firstIdOf(millis: number): string {
  return Math.max(0, Math.floor(millis)).toString(16).padStart(12, '0') + '0'.repeat(20);
}
/** Of deleted rows: the latest time that one of their ids was made; 0 when there is none. */
export function latestCreated(txnIds: readonly string[]): number {
  return txnIds.reduce((latest, id) => (isTxnId(id) ? Math.max(latest, createdAt(id)) : latest), 0);
}
export function newIdentity(): string {
  return randomBytes(16).toString('hex');
}
