// What a client can do, over a courier: the rules of what is sent again, what is asked, and what is told.
//
// They rest on docs/PROTOCOL.md section 1: a transaction id is attempted once, and its outcome never changes. So
//  * sending the same transaction again is always safe: it joins the running attempt, or returns the outcome, or begins;
//  * after a request that may have arrived no error proves that it did not happen: the answer is then `unknown`;
//  * whoever does not know where a transaction belongs asks the coordinator first and then every shard, and seals the
//    shards before the coordinator: a seal at the coordinator would write "aborted" about a transaction of one shard
//    that the shard has committed.
import type { Courier, Delivery } from './courier';
import { AssentError, toError } from './errors';
import { aborted, decodeResult, decodeTransaction, isDefinite, unknown, type OperationResult, type Outcome } from './outcome';
import { leftUntil, now, Pace, type Deadline } from './pace';
import type { ExecuteRequest, GetOutcomeRequest, QueryRequest, QueryResponse, WireOperation, WireTransaction } from './wire';

// How long one question may be held back, of the time for one attempt: so that it is answered within it.
const longPollShare = 0.7;
const executeMethod = { service: 'Coordinator', name: 'execute' } as const;
const outcomeMethod = { service: 'Coordinator', name: 'getOutcome' } as const;
const queryMethod = { service: 'Shard', name: 'query' } as const;

/** What is sent: an ExecuteRequest but for its times. */
export type Content = Omit<ExecuteRequest, 'timeoutMillis'>;

/** Where a transaction belongs: one on one shard to its shard, any other to the coordinator. */
export function belongsTo(content: Content, coordinator: string): string {
  const [only, more] = content.branches;
  const onePhase = content.protocol === 'AUTO' || content.protocol === 'ONE_PHASE';
  return only && !more && content.services.length === 0 && onePhase ? only.shard : coordinator;
}

/** Throws AssentError: certainly not begun. */
export async function execute(courier: Courier, content: Content, coordinator: string, deadline: Deadline): Promise<Outcome<never>> {
  const id = content.txnId;
  const group = belongsTo(content, coordinator);
  // A transaction that is merely slow comes back aborted, not unknown.
  const timeoutMillis = Math.min(3_600_000, Math.max(1, Math.floor((leftUntil(deadline) * 2) / 3)));
  const request: ExecuteRequest = { ...content, timeoutMillis };
  const pace = new Pace(deadline, courier.attemptTimeoutMs);
  let mayHaveArrived = false;
  let sends = 0;
  const finish = (outcome: Outcome<never>): Outcome<never> => ({ ...outcome, wasInQuestion: mayHaveArrived, sends });
  const giveUp = (error: AssentError): Outcome<never> => {
    if (!mayHaveArrived) throw error;
    return finish(
      unknown(id, group, 'nothing', `it was sent, but what came of it could not be learned in time (${error.message}); it may have ` +
        `committed: find out by wait() or seal(), or: assentctl txn get ${id} --wait 10s`),
    );
  };

  for (;;) {
    let delivery: Delivery<WireTransaction>;
    try {
      delivery = await courier.deliver<WireTransaction>(group, executeMethod, request, pace.attemptDeadline(), deadline);
    } catch (error) {
      return giveUp(asAssentError(error));
    }
    sends += 1;
    switch (delivery.judgement.verdict) {
      case 'answered': {
        const outcome = decodeTransaction(delivery.response, id, group);
        if (isDefinite(outcome)) return finish(outcome);
        mayHaveArrived = true;
        const later = await askGroup(courier, { id, group, seal: false, waitMs: leftUntil(deadline) }, deadline).catch(() => undefined);
        if (later && (isDefinite(later) || later.seen === 'expired')) return finish(later);
        break;
      }
      case 'lost':
        mayHaveArrived = true;
        break;
      case 'invalid':
      case 'not_found':
      case 'refused':
        return giveUp(toError(delivery.judgement));
      default:
        break;
    }
    const last = courier.timeIsUp(delivery);
    await courier.pause(pace.pause(delivery.followNow));
    if (courier.closed) return giveUp(courier.cancelled());
    if (pace.over()) return giveUp(last);
  }
}

export interface Question {
  id: string;
  group: string;
  seal: boolean;
  waitMs: number;
}

/** One question to one group's leader, repeated until it is answered. */
export async function askGroup(courier: Courier, question: Question, deadline: Deadline): Promise<Outcome<never>> {
  const waitEnd = Math.min(now() + question.waitMs, deadline);
  for (;;) {
    const request: GetOutcomeRequest = {
      txnId: question.id,
      seal: question.seal,
      group: question.group,
      waitMillis: Math.floor(Math.min(leftUntil(waitEnd), longPollShare * courier.attemptTimeoutMs)),
    };
    const message = await courier.ask<WireTransaction>(question.group, outcomeMethod, request, deadline);
    const outcome = decodeTransaction(message, question.id, question.group);
    if (!undecided(outcome) || leftUntil(waitEnd) === 0 || courier.closed) return outcome;
    await courier.pause(20); // the leader may answer at once that it does not know yet
  }
}

function undecided(outcome: Outcome<never>): boolean {
  return outcome.state === 'unknown' && (outcome.seen === 'running' || outcome.seen === 'prepared');
}

// Asks every shard. Throws when a shard could not be asked and the others do not settle it: it may be the one that knows.
async function askShards(courier: Courier, id: string, seal: boolean, deadline: Deadline): Promise<Outcome<never>> {
  const shards = courier.directory.shards();
  let trouble: unknown;
  let expired = false;
  let sealed = 0;
  for (const group of shards) {
    let outcome: Outcome<never>;
    try {
      outcome = await askGroup(courier, { id, group, seal, waitMs: 0 }, deadline);
    } catch (error) {
      trouble = error;
      continue;
    }
    if (outcome.state === 'committed' || undecided(outcome)) return outcome;
    if (outcome.state === 'aborted') {
      // A no that a shard found proves an abort at once; one that this very seal wrote only once every shard has it.
      if (!seal || outcome.reason !== 'sealed') return outcome;
      sealed += 1;
    } else {
      expired ||= outcome.seen === 'expired';
    }
  }
  if (trouble) throw trouble;
  if (seal && sealed > 0 && sealed === shards.length) {
    return aborted(id, '', 'sealed', 'no group knew it; it is sealed on every shard now and can never commit');
  }
  return expired
    ? unknown(id, '', 'expired', 'it is older than the history that is kept')
    : unknown(id, '', 'nothing', 'no group knows it: it was never begun, or its request has not arrived yet; with seal it never will');
}

// Of a transaction of which nobody knows where it belongs; the coordinator's answer is there, and neither definite nor a
// sign that it runs there.
async function searchShards(courier: Courier, question: Question, coordinator: () => Outcome<never>, deadline: Deadline): Promise<Outcome<never>> {
  let found: Outcome<never> | undefined;
  let trouble: unknown;
  try {
    found = await askShards(courier, question.id, false, deadline);
  } catch (error) {
    trouble = error;
  }
  if (found && (isDefinite(found) || undecided(found))) return found;
  // Without the coordinator's word an outcome that the shards have long forgotten would be overlooked.
  const known = coordinator();
  if (known.state === 'unknown' && known.seen === 'expired') return known;
  if (found && question.seal) return askShards(courier, question.id, true, deadline);
  if (!found) throw trouble;
  return found;
}

/** What came of a transaction; group empty: wherever it belongs. Throws AssentError: nobody could be asked. */
export async function getOutcome(courier: Courier, question: Question, deadline: Deadline): Promise<Outcome<never>> {
  if (question.group) return askGroup(courier, question, deadline);
  const half = now() + leftUntil(deadline) / 2; // a coordinator that is away leaves time to ask the shards
  const group = await courier.findCoordinator(half);
  let first: Outcome<never> | undefined;
  let trouble: unknown;
  try {
    first = await askGroup(courier, { id: question.id, group, seal: false, waitMs: 0 }, half);
  } catch (error) {
    trouble = error;
  }
  if (first && isDefinite(first)) return first;

  let prepared: Outcome<never> | undefined;
  if (!first || !undecided(first)) {
    const coordinator = (): Outcome<never> => {
      if (!first) throw trouble;
      return first;
    };
    const found = await searchShards(courier, question, coordinator, deadline);
    if (!undecided(found)) return found;
    prepared = found;
  }
  const last = await askGroup(courier, { ...question, group }, deadline);
  if (prepared && !isDefinite(last) && !undecided(last)) return prepared;
  return last;
}

export interface Rehearsal {
  results: OperationResult[];
  digests: string[];
  index: bigint;
}

/** Runs work that may write, and takes it back. */
export async function rehearse(courier: Courier, shard: string, operations: WireOperation[], deadline: Deadline): Promise<Rehearsal> {
  const request: QueryRequest = { shard, operations, rehearse: true };
  const answer = await courier.ask<QueryResponse>(shard, queryMethod, request, deadline);
  if (answer.results.length !== operations.length || answer.digests.length !== operations.length) {
    throw new AssentError('internal', `shard ${shard} answered a rehearsal with results of a wrong shape`);
  }
  return { results: answer.results.map(decodeResult), digests: answer.digests, index: BigInt(answer.index) };
}

/** A linearizable read on one shard. */
export async function query(courier: Courier, shard: string, operations: WireOperation[], deadline: Deadline): Promise<OperationResult[]> {
  const answer = await courier.ask<QueryResponse>(shard, queryMethod, { shard, operations } satisfies QueryRequest, deadline);
  return answer.results.map(decodeResult);
}

/** A stale read: of any replica that can prove that all that was told to be committed longer ago shows in what it holds. */
export async function queryStale(
  courier: Courier,
  shard: string,
  operations: WireOperation[],
  maxStalenessMs: number,
  deadline: Deadline,
): Promise<OperationResult[]> {
  if (!(maxStalenessMs >= 1)) throw new AssentError('invalid', 'a stale read needs a bound of 1 ms or more');
  const request: QueryRequest = { shard, operations, maxStalenessMillis: String(Math.floor(maxStalenessMs)) };
  const answer = await courier.askAnyReplica<QueryResponse>(shard, queryMethod, request, deadline);
  return answer.results.map(decodeResult);
}

/** Whether what the operations touch has not changed behind that index, and nobody is about to change it. */
export async function unchanged(
  courier: Courier,
  question: { shard: string; operations: WireOperation[]; since: bigint; writes: boolean },
  deadline: Deadline,
): Promise<boolean> {
  const { shard, operations, since, writes } = question;
  const request: QueryRequest = { shard, operations, rehearse: writes, unchangedSince: since.toString() };
  try {
    return !(await courier.ask<QueryResponse>(shard, queryMethod, request, deadline)).changed;
  } catch (error) {
    // What it expected is not what it finds, or the work cannot be run any more: either way something has changed.
    if (error instanceof AssentError && (error.code === 'refused' || error.code === 'invalid')) return false;
    throw error;
  }
}

export function asAssentError(error: unknown): AssentError {
  return error instanceof AssentError ? error : new AssentError('internal', String(error));
}
