// A participant's branches: carries calls out, each in one local transaction, by the rules of register.ts. What the gRPC
// service (host.ts) and the resolver share, and what a program calls that has another transport.
//
// Invariants: no two calls for one branch are in the service's code at a time in this process; nothing is answered ok or
// aborted before what it rests on is committed in the service's database; limits are kept before the database is touched,
// but for the payload's size, which is answered with a recorded no.
import { createdAt, isTxnId } from '../ids';
import { isName, isNameOrEmpty, nameBytesMax, tidyText } from '../names';
import { LocalError, no, type Barrier, type Branch, type BranchKey, type InDoubt, type LocalTransaction, type Participant, type Vote } from './barrier';
import { answer, blank, judge, messageBytesMax, ok, recordAbort, recordEnd, recordVote, type Answer, type Call, type RecordedVote, type Register } from './register';

export interface Limits {
  payloadBytesMax: number;
  resultBytesMax: number;
  /** At a time; commits and aborts have as much room again. */
  preparesMax: number;
}

export interface BranchesOptions {
  /** Of the participant; calls for another are refused. Empty: not looked at. */
  name: string;
  limits?: Partial<Limits>;
  /** How long an ended branch is remembered: not below the ten minutes for which a transaction's id is good. */
  retentionMs?: number;
  clock?: () => number;
}

export interface PrepareCall {
  branch: Branch;
  /** Whom the caller believes to talk to; empty: it does not say. */
  participant: string;
  payload: Buffer;
  /** A yes that comes later is not counted; 0: not told. */
  timeLeftMs: number;
}

const triesMax = 4; // an insert that finds a row looks again
const endsBetweenForgets = 64;
const forgetsMax = 256; // rows at a time
const retentionMinMs = 600_000;

export class Branches<Connection> {
  readonly name: string;
  readonly limits: Limits;
  readonly #retentionMs: number;
  readonly #clock: () => number;
  readonly #running = new Set<string>();
  readonly #taken = { prepare: 0, end: 0 };
  #ended = 0;

  constructor(
    options: BranchesOptions,
    private readonly participant: Participant<Connection>,
    private readonly barrier: Barrier<Connection>,
  ) {
    if (!isNameOrEmpty(options.name)) throw new Error(`a participant's name is up to ${nameBytesMax} bytes without control characters`);
    this.#retentionMs = options.retentionMs ?? 3_600_000;
    if (this.#retentionMs < retentionMinMs) throw new Error(`retentionMs is ${this.#retentionMs}, below the ten minutes for which a late prepare may come`);
    this.name = options.name;
    this.limits = { payloadBytesMax: 1 << 20, resultBytesMax: 64 << 10, preparesMax: 64, ...options.limits };
    this.#clock = options.clock ?? Date.now;
  }

  // ---- prepare ----

  async prepare(call: PrepareCall): Promise<Answer> {
    const wrong = this.#check(call.branch, call.participant);
    if (wrong) return wrong;
    const until = call.timeLeftMs > 0 ? Date.now() + call.timeLeftMs : Infinity;
    return this.#inLane('prepare', call.branch, async (local) => {
      if (Date.now() < until) return this.#repeated(() => this.#tryPrepare(local, call));
      return answer('unknown', 'UNAVAILABLE', 'the time was up before there was a free connection to the database; nothing was done');
    });
  }

  // Conflict: somebody else was there in between; once more. The row goes in before the work runs, so that nobody else, in
  // whatever process, runs it too; it says no, until the last statement before the commit says what was voted.
  async #tryPrepare(local: LocalTransaction<Connection>, call: PrepareCall): Promise<Answer> {
    const { branch, payload } = call;
    const key = { txnId: branch.txnId, name: branch.name };
    return scoped(local, async () => {
      await local.begin('write');
      const found = await local.load(key);
      if (found) return judged('prepare', found, branch);
      if (!(await local.insert(key, recordVote(branch, payload, torn, this.#clock())))) throw takenMeanwhile();
      // After the insert: it has waited for whoever was forgetting the same branch.
      const ruling = judge('prepare', unwritten(await local.forgottenThrough(), branch.txnId), branch.attempt);
      if (ruling !== 'writes') return ruling;

      await local.beginWork();
      const vote = await this.#vote(local, branch, payload);
      await (vote.kind === 'no' ? local.undoWork() : local.keepWork());
      const written = recordVote(branch, payload, vote, this.#clock());
      await local.update(key, written);
      await local.commit();
      return judged('prepare', written, branch); // what every duplicate will hear
    });
  }

  async #vote(local: LocalTransaction<Connection>, branch: Branch, payload: Buffer): Promise<RecordedVote> {
    const { payloadBytesMax, resultBytesMax } = this.limits;
    if (payload.length > payloadBytesMax) {
      return no('PAYLOAD_TOO_LARGE', `the payload has ${payload.length} bytes, above the limit of ${payloadBytesMax}`);
    }
    let vote: Vote;
    try {
      vote = await this.participant.prepare(branch, local.connection, payload);
      if (!['yes', 'read_only', 'no', 'later'].includes(vote?.kind)) throw new Error("the service's prepare returned something that is no vote");
    } catch (error) {
      const kind = local.classify(error);
      if (kind && kind !== 'io') throw new LocalError(kind, `the service's prepare: ${textOf(error)}`);
      return no('EXCEPTION', textOf(error));
    }
    if (vote.kind === 'later') throw new LocalError('busy', vote.message);
    if (vote.kind !== 'no' && vote.result.length > resultBytesMax) {
      return no('RESULT_TOO_LARGE', `the result has ${vote.result.length} bytes, above the limit of ${resultBytesMax}`);
    }
    return vote;
  }

  // ---- commit and abort ----

  async end(call: 'commit' | 'abort', branch: Branch, participant = ''): Promise<Answer> {
    const wrong = this.#check(branch, participant);
    if (wrong) return wrong;
    const out = await this.#inLane(call, branch, (local) => this.#repeated(() => this.#tryEnd(local, call, branch)));
    // What cannot be forgotten now is so the next time; the call that happened to come here is answered all the same.
    if (++this.#ended % endsBetweenForgets === 0) void this.forgetSome().catch(() => undefined);
    return out;
  }

  // The row is written before the work runs: work that ends the local transaction by itself must not run a second time.
  async #tryEnd(local: LocalTransaction<Connection>, call: 'commit' | 'abort', branch: Branch): Promise<Answer> {
    const key = { txnId: branch.txnId, name: branch.name };
    return scoped(local, async () => {
      await local.begin('write');
      const found = await local.load(key);
      if (!found) {
        if (call === 'abort' && !(await local.insert(key, recordAbort(branch, this.#clock())))) throw takenMeanwhile();
        const ruling = judge(call, unwritten(await local.forgottenThrough(), branch.txnId), branch.attempt);
        if (ruling !== 'writes') return ruling;
        await local.commit();
        return ok;
      }
      const ruling = judge(call, found, branch.attempt);
      if (ruling !== 'writes') return ruling;
      await local.update(key, recordEnd(found, call, this.#clock()));
      await local.beginWork();
      try {
        await this.participant[call](branch, local.connection, found.payload);
      } catch (error) {
        // An error of the service's own is not a reason to look again.
        throw new LocalError(local.classify(error) === 'conflict' ? 'conflict' : 'io', `the service could not: ${textOf(error)}`);
      }
      await local.keepWork();
      await local.commit();
      return ok;
    });
  }

  // ---- looking ----

  /** What the register holds: empty, running and forgotten included. An Answer: the names are not valid, or another's. */
  async status(key: BranchKey, participant = ''): Promise<Register | Answer> {
    const wrong = this.#check({ ...key, attempt: { epoch: 0n, number: 0n }, coordinator: '' }, participant);
    if (wrong) return wrong;
    if (this.#running.has(laneOf(key))) return blank('running');
    try {
      return await this.#withConnection((local) =>
        scoped(local, async () => {
          await local.begin('read');
          return (await local.load(key)) ?? unwritten(await local.forgottenThrough(), key.txnId);
        }),
      );
    } catch (error) {
      return unavailable(error);
    }
  }

  /** In doubt for at least so long, oldest first. Throws LocalError. */
  inDoubt(atLeastMs: number, atMost: number): Promise<InDoubt[]> {
    return this.#withConnection((local) => local.inDoubt(this.#clock() - atLeastMs, atMost));
  }
  /** Forgets a few branches that ended longer than the retention ago. Called now and then by the others as well. */
  forgetSome(): Promise<number> {
    return this.#withConnection((local) => local.forget(this.#clock() - this.#retentionMs, forgetsMax));
  }

  // ---- around a call ----

  #check(branch: Branch, participant: string): Answer | undefined {
    const invalid = (message: string): Answer => answer('invalid', 'INVALID_ARGUMENT', message);
    if (!isTxnId(branch.txnId)) return invalid('txn_id must be 32 lower-case hex digits, and not all zeros');
    if (!isName(branch.name)) return invalid(`branch must be 1 to ${nameBytesMax} bytes of text without control characters`);
    if (!isNameOrEmpty(branch.coordinator)) return invalid(`coordinator must be up to ${nameBytesMax} bytes of text without control characters`);
    if (participant && this.name && participant !== this.name) {
      const text = `this is the participant ${this.name}, not ${tidyText(participant, nameBytesMax)}: is the address right?`;
      return answer('invalid', 'WRONG_PARTICIPANT', text);
    }
    return undefined;
  }

  // A call's place among the running ones, given back at its end.
  async #inLane(call: Call, branch: Branch, act: (local: LocalTransaction<Connection>) => Promise<Answer>): Promise<Answer> {
    const lane = laneOf(branch);
    const kind = call === 'prepare' ? 'prepare' : 'end';
    if (this.#taken[kind] >= this.limits.preparesMax) return answer('busy', 'OVERLOADED', 'too many calls at once; ask again later');
    if (this.#running.has(lane)) return judged(call, blank('running'), branch);
    this.#running.add(lane);
    this.#taken[kind] += 1;
    try {
      return await this.#withConnection(act);
    } catch (error) {
      return unavailable(error);
    } finally {
      this.#running.delete(lane);
      this.#taken[kind] -= 1;
    }
  }

  async #withConnection<T>(act: (local: LocalTransaction<Connection>) => Promise<T>): Promise<T> {
    const local = await this.barrier.take();
    try {
      return await act(local);
    } finally {
      local.release();
    }
  }

  async #repeated(attempt: () => Promise<Answer>): Promise<Answer> {
    for (let i = 0; i < triesMax; ++i) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof LocalError) || error.kind !== 'conflict') throw error;
      }
    }
    return answer('running', 'STILL_RUNNING', 'the branch is being written elsewhere; ask again');
  }
}

// The row that stands while the work runs, and is seen by others only when the work has ended the local transaction.
const torn = no('TORN', "the service's prepare ended the local transaction by itself; what it did stays, and the branch cannot be voted for");

function takenMeanwhile(): LocalError {
  return new LocalError('conflict', 'somebody else wrote the register first');
}

function unwritten(forgottenThrough: number, txnId: string): Register {
  return blank(createdAt(txnId) <= forgottenThrough ? 'forgotten' : 'empty');
}

function judged(call: Call, found: Register, branch: Branch): Answer {
  const ruling = judge(call, found, branch.attempt);
  if (ruling === 'writes') throw new Error(`a ${call} that finds ${found.state} is not answered from the register`);
  return ruling;
}

function laneOf(branch: BranchKey): string {
  return `${branch.txnId}/${branch.name}`;
}

// Rolls back whatever was not committed; after a commit there is nothing to roll back.
async function scoped<C, T>(local: LocalTransaction<C>, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } finally {
    await local.rollback();
  }
}

function unavailable(error: unknown): Answer {
  return answer('unknown', 'UNAVAILABLE', tidyText(textOf(error), messageBytesMax));
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
