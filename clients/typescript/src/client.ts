// A client of an Assent cluster.
//
//   const client = new Client({ endpoints: ['127.0.0.1:7420'] });
//   const outcome = await client.run({ name: 'transfer', timeoutMs: 3000 }, async (tx) => {
//     const { rows } = await tx.query('s1', 'SELECT balance FROM accounts WHERE id = ?1', 'alice');
//     ...
//     tx.execute('s1', 'UPDATE accounts SET balance = balance - ?1 WHERE id = ?2', 50, 'alice');
//     tx.call('ledger@10.0.0.7:9000', JSON.stringify({ credit: 50 }));
//   });
//
// What it does by itself: finds the nodes, the groups and their leaders; follows leaders as they change; sends again what
// is safe to send again, which a transaction with an id always is; asks after an answer was lost; runs the function again
// after a conflict. What it never does: guess an outcome, or let the work happen twice. Nothing is kept outside of the
// objects: no context follows a call by itself.
import { AssentError } from './errors';
import { Courier } from './courier';
import { attemptId, createdAt, isTxnId, newTxnId } from './ids';
import { asAssentError, execute, getOutcome, query, queryStale, rehearse, unchanged, type Content } from './operations';
import { aborted, committed, isDefinite, worthANewAttempt, type Aborted, type OperationResult, type Outcome } from './outcome';
import { Backoff, leftUntil, now, type Deadline } from './pace';
import { GaveUp, Txn, wireMode, type Intent, type ServiceMode } from './txn';
import { encodeValue, type Parameter } from './values';
import type { Protocol } from './wire';

export interface ClientOptions {
  /** host:port of nodes; one is enough, the rest is discovered. */
  endpoints: readonly string[];
  /** Of a call that brings none. */
  timeoutMs?: number;
  /** After this time without an answer a request goes out again, perhaps to another leader; doubled each time. */
  attemptTimeoutMs?: number;
}

export interface RunOptions {
  /** For messages. */
  name?: string;
  /** For all of it, retries included. */
  timeoutMs?: number;
  /**
   * An id from newTxnId() that the caller keeps with his own request: however often, and from wherever, run() is called
   * with it within ten minutes, at most one of its attempts commits, and all callers hear the same. Costs a question
   * before and a round more (two-phase).
   */
  requestId?: string;
  protocol?: Protocol;
  /** What it is to its services; any other than atomic only with services, in the order in which tx.call() names them. */
  mode?: ServiceMode;
  /** How often the function may run. */
  attemptsMax?: number;
}

export interface AskOptions {
  timeoutMs?: number;
  /** Whom to ask, as `ask` of an outcome; otherwise the coordinator, then every shard. */
  group?: string;
}

const defaultTimeoutMs = 10_000;
const optimisticAttemptsMax = 3; // of what only reads; then it locks

export class Client {
  readonly #courier: Courier;
  readonly #timeoutMs: number;

  /** Makes no call: a cluster that is away is found out, with what each endpoint says, by the first call that needs it. */
  constructor(options: ClientOptions) {
    if (options.endpoints.length === 0) throw new AssentError('invalid', 'no endpoint is given');
    for (const one of options.endpoints) {
      if (!/^[^\s,]+:\d{1,5}$/.test(one)) throw new AssentError('invalid', `an endpoint is host:port, not '${one}'`);
    }
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.#courier = new Courier(options.endpoints, options.attemptTimeoutMs ?? 1_000);
  }

  /** What is under way ends with `cancelled`, or with an outcome that is unknown. */
  close(): void {
    this.#courier.close();
  }

  /**
   * Runs the function, which reads and writes through `tx`, then commits what it wanted if all that it read is still so;
   * otherwise runs it again, with the age of the first attempt, so that it is not starved. What the function throws is
   * thrown on, and nothing has happened. AssentError: certainly nothing happened.
   */
  async run<T>(options: RunOptions, fn: (tx: Txn) => Promise<T> | T): Promise<Outcome<T>> {
    const deadline = this.#deadline(options.timeoutMs);
    const coordinator = await this.#courier.findCoordinator(deadline);
    return new Run(this.#courier, options, coordinator, deadline, fn).go();
  }

  /**
   * A linearizable SELECT on one shard. With maxStalenessMs a stale one: of any replica that can prove that all that was
   * told to be committed longer ago shows in what it holds.
   */
  async query(
    shard: string,
    sql: string,
    parameters: readonly Parameter[] = [],
    options: { timeoutMs?: number; maxStalenessMs?: number } = {},
  ): Promise<OperationResult> {
    const operations = [{ sql: { text: sql, parameters: parameters.map(encodeValue) } }];
    const deadline = this.#deadline(options.timeoutMs);
    const [result] =
      options.maxStalenessMs === undefined
        ? await query(this.#courier, shard, operations, deadline)
        : await queryStale(this.#courier, shard, operations, options.maxStalenessMs, deadline);
    if (!result) throw new AssentError('internal', `shard ${shard} answered nothing`);
    return result;
  }

  /** What came of a transaction, as far as is known now. `unknown` is not `aborted`: it may still begin. */
  outcome(txnId: string, options: AskOptions = {}): Promise<Outcome> {
    return this.#ask(txnId, options, false, 0);
  }
  /** Waits for a decision while it runs. */
  wait(txnId: string, options: AskOptions = {}): Promise<Outcome> {
    return this.#ask(txnId, options, false, options.timeoutMs ?? this.#timeoutMs);
  }
  /** After a definite answer it will never commit, unless it has: what nobody runs is aborted by the question. */
  seal(txnId: string, options: AskOptions = {}): Promise<Outcome> {
    return this.#ask(txnId, options, true, options.timeoutMs ?? this.#timeoutMs);
  }

  async #ask(id: string, options: AskOptions, seal: boolean, waitMs: number): Promise<Outcome> {
    if (!isTxnId(id)) throw new AssentError('invalid', `a transaction id is 32 lower-case hex digits, not '${id}'`);
    return getOutcome(this.#courier, { id, group: options.group ?? '', seal, waitMs }, this.#deadline(options.timeoutMs));
  }

  #deadline(timeoutMs: number | undefined): Deadline {
    return now() + (timeoutMs ?? this.#timeoutMs);
  }
}

// The attempts of one run().
class Run<T> {
  readonly #earlier: string[] = [];
  readonly #backoff = new Backoff(1, 100);
  readonly #first: string;
  readonly #fixed: boolean; // the ids follow from the caller's

  constructor(
    private readonly courier: Courier,
    private readonly options: RunOptions,
    private readonly coordinator: string,
    private readonly deadline: Deadline,
    private readonly fn: (tx: Txn) => Promise<T> | T,
  ) {
    const { requestId, protocol = 'AUTO', mode = 'atomic' } = options;
    if (!Object.hasOwn(wireMode, mode)) throw new AssentError('invalid', `there is no mode '${mode}'; there are ${Object.keys(wireMode).join(', ')}`);
    if (requestId !== undefined && !isTxnId(requestId)) {
      throw new AssentError('invalid', `requestId is an id from newTxnId(), kept with the request, not '${requestId}'`);
    }
    if (requestId !== undefined && protocol !== 'AUTO' && protocol !== 'TWO_PHASE') {
      throw new AssentError('invalid', `a run with a requestId is two-phase, not ${protocol}: the coordinator's log is what all attempts share`);
    }
    this.#fixed = requestId !== undefined;
    this.#first = requestId ?? newTxnId();
  }

  async go(): Promise<Outcome<T>> {
    for (;;) {
      const number = this.#earlier.length + 1;
      const id = number === 1 ? this.#first : this.#fixed ? attemptId(this.#first, number) : newTxnId();
      const before = this.#fixed ? await this.#cameOf(id) : undefined;
      const outcome = before ?? (await this.#attempt(id));
      if (outcome !== 'again' && !(outcome.state === 'aborted' && worthANewAttempt(outcome) && this.#mayTryAgain())) {
        outcome.earlier = this.#earlier;
        return outcome;
      }
      this.#earlier.push(id);
      if (!before) await this.courier.pause(this.#backoff.next());
    }
  }

  // What an earlier run() with the same requestId left: nothing when it has not used this id.
  async #cameOf(id: string): Promise<Outcome<T> | undefined> {
    const question = { id, group: this.coordinator, seal: false, waitMs: leftUntil(this.deadline) };
    const outcome: Outcome<T> = await getOutcome(this.courier, question, this.deadline);
    if (isDefinite(outcome) || outcome.seen === 'running') return outcome;
    if (outcome.seen !== 'expired') return undefined;
    const made = new Date(createdAt(id)).toISOString();
    throw new AssentError('refused', `requestId ${this.#first} was made at ${made} and is too old to be run; whether it has committed is not known any more`, 'TXN_TOO_OLD');
  }

  async #attempt(id: string): Promise<Outcome<T> | 'again'> {
    const deadline = new Date(Date.now() + leftUntil(this.deadline));
    const tx = new Txn(id, deadline, this.coordinator, (shard, operations) => rehearse(this.courier, shard, operations, this.deadline), this.options.mode);
    let value: T | undefined;
    let thrown: { error: unknown } | undefined;
    try {
      value = await this.fn(tx);
    } catch (error) {
      thrown = { error };
    }
    const intent = await tx.finish();
    if (thrown?.error instanceof GaveUp) {
      const { why } = thrown.error;
      return this.#inVain(intent, () => aborted(id, this.coordinator, 'gave_up', why));
    }
    if (thrown && thrown.error !== intent.failure) throw thrown.error;
    if (intent.failure) {
      const { failure } = intent;
      if (failure.code !== 'refused' && failure.code !== 'invalid') throw failure;
      return this.#inVain(intent, () => {
        throw failure;
      });
    }
    const outcome: Outcome<T> = await this.#settle(id, intent, value);
    if (outcome.state === 'committed') outcome.value = value;
    return outcome;
  }

  // The function gave up, or a shard refused what it tried. If that followed from reads of different moments it may
  // follow from a state that never was: then it gets another try.
  async #inVain(intent: Intent, end: () => Aborted): Promise<Aborted | 'again'> {
    if (intent.seen.size > 0 && this.#mayTryAgain()) {
      const held = await this.#stillTrue(intent).catch(() => true);
      if (!held) return 'again';
    }
    return end();
  }

  // Reads alone need no log: when nothing of it has changed by now, all of it held when the last one was made.
  async #settle(id: string, intent: Intent, value: T | undefined): Promise<Outcome<T>> {
    const participants = intent.branches.map((branch) => branch.shard);
    if (intent.branches.length === 0 && intent.services.length === 0) return committed(id, this.coordinator, [], value);
    const oneRead = intent.branches.length === 1 && intent.branches[0]?.operations.length === 1;
    if (!intent.writes && oneRead) return committed(id, this.coordinator, participants, value);
    if (!intent.writes && this.#earlier.length < optimisticAttemptsMax) {
      if (await this.#stillTrue(intent)) return committed(id, this.coordinator, participants, value);
      return aborted(id, this.coordinator, 'conflict', 'what it read has changed meanwhile');
    }
    const content: Content = {
      txnId: id,
      firstTxnId: this.#first,
      protocol: this.#fixed ? 'TWO_PHASE' : (this.options.protocol ?? 'AUTO'),
      branches: intent.branches,
      services: intent.services,
      mode: wireMode[this.options.mode ?? 'atomic'],
    };
    return this.#fixed ? this.#executeOnce(content) : execute(this.courier, content, this.coordinator, this.deadline);
  }

  // Another run() with the same requestId may have used the id with other content: then its outcome is the id's.
  async #executeOnce(content: Content): Promise<Outcome<T>> {
    let refusal: AssentError | undefined;
    try {
      const outcome = await execute(this.courier, content, this.coordinator, this.deadline);
      if (outcome.state !== 'aborted' || outcome.reason !== 'reused_id') return outcome;
    } catch (error) {
      refusal = asAssentError(error);
      if (refusal.code !== 'refused') throw refusal;
    }
    const question = { id: content.txnId, group: this.coordinator, seal: true, waitMs: leftUntil(this.deadline) };
    const outcome = await getOutcome(this.courier, question, this.deadline);
    if (isDefinite(outcome) || !refusal) return outcome;
    if (outcome.seen === 'running') return outcome;
    throw refusal;
  }

  async #stillTrue(intent: Intent): Promise<boolean> {
    for (const branch of intent.branches) {
      const seen = intent.seen.get(branch.shard);
      if (!seen) continue; // nothing was read there
      const operations = branch.operations.slice(0, seen.operations);
      const question = { shard: branch.shard, operations, since: seen.since, writes: intent.writes };
      if (!(await unchanged(this.courier, question, this.deadline))) return false;
    }
    return true;
  }

  #mayTryAgain(): boolean {
    return this.#earlier.length + 1 < (this.options.attemptsMax ?? 64) && leftUntil(this.deadline) > 0 && !this.courier.closed;
  }
}

