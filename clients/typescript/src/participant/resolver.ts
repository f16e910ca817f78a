// Frees a service from branches that nobody ends: finds those that are in doubt for longer than a bound, asks the
// coordinator what came of them, and commits or aborts them accordingly.
//
// Why: a coordinator does not remember what it aborted (presumed abort), and whoever began the transaction may be gone.
// The question is sealing: after it an undecided transaction that nobody runs is aborted for good. So the resolver never
// decides anything; what it cannot learn stays in doubt, and is asked about again after a pause that doubles.
import type { Client } from '../client';
import { sleep } from '../pace';
import type { InDoubt } from './barrier';
import type { Branches } from './branches';

/** What came of a transaction, as far as whoever was asked knows. */
export type Fate = 'open' | 'committed' | 'aborted';
/** Throws when nobody could be asked. */
export type AskFate = (one: InDoubt) => Promise<Fate>;

export interface ResolverOptions {
  /** In doubt for so long before it asks. */
  patienceMs?: number;
  /** Between two looks. */
  intervalMs?: number;
  /** At a look. */
  questionsMax?: number;
  /** Until a branch is asked about again; begins with the interval, doubles. */
  pauseMaxMs?: number;
  /** After each look that found something; for a log. */
  told?: (found: Resolved) => void;
}

export interface Resolved {
  committed: number;
  aborted: number;
  open: number; // asked, and still in doubt
  trouble: string; // the last one that was met; empty: none
}

const lookedAtMax = 1_000;

export function askCoordinator(client: Client): AskFate {
  return async (one) => {
    const outcome = await client.seal(one.txnId, { group: one.coordinator, timeoutMs: 5_000 });
    // Of a saga each step is compensated in its turn: who went ahead because it asked would be before those behind it.
    if (outcome.state === 'aborted') return outcome.inOrder ? 'open' : 'aborted';
    if (outcome.state === 'committed') {
      const { attempt } = outcome;
      // The votes that were counted are all of the attempt that committed: what was prepared for another is none of them.
      const ours = !attempt || (attempt.epoch === one.attempt.epoch && attempt.number === one.attempt.number);
      return ours ? 'committed' : 'aborted';
    }
    // The group keeps a commit until every service has said that it committed: what it has forgotten was none. Another
    // group's "expired" proves nothing.
    return outcome.seen === 'expired' && one.coordinator ? 'aborted' : 'open';
  };
}

export class Resolver {
  readonly #stopping = new AbortController();
  readonly #pauses = new Map<string, { until: number; lengthMs: number }>();
  readonly #options: Required<Omit<ResolverOptions, 'told'>>;
  readonly #told: ((found: Resolved) => void) | undefined;
  readonly #served: Promise<void>;

  /** Looks at once, and then until stop(). */
  constructor(
    private readonly branches: Pick<Branches<unknown>, 'inDoubt' | 'end' | 'forgetSome'>,
    private readonly ask: AskFate,
    options: ResolverOptions = {},
  ) {
    const { told, ...rest } = options;
    this.#options = { patienceMs: 10_000, intervalMs: 2_000, questionsMax: 16, pauseMaxMs: 60_000, ...rest };
    this.#told = told;
    this.#served = this.#serve();
  }

  /** Ends when the question that is under way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#served;
  }

  async #serve(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const found = await this.#look();
      if (this.#told && found.committed + found.aborted + found.open > 0) this.#told(found);
      else if (found.trouble) this.#told?.(found);
      await this.branches.forgetSome().catch(() => 0); // what could not be forgotten now is so at the next look
      await sleep(this.#options.intervalMs, this.#stopping.signal);
    }
  }

  async #look(): Promise<Resolved> {
    const all: Resolved = { committed: 0, aborted: 0, open: 0, trouble: '' };
    let found: InDoubt[];
    try {
      found = await this.branches.inDoubt(this.#options.patienceMs, lookedAtMax);
    } catch (error) {
      return { ...all, trouble: String(error) };
    }
    const there = new Set(found.map(keyOf));
    for (const key of this.#pauses.keys()) if (!there.has(key)) this.#pauses.delete(key);
    let questions = 0;
    const now = Date.now();
    for (const one of found) {
      if (now < (this.#pauses.get(keyOf(one))?.until ?? 0)) continue;
      if (++questions > this.#options.questionsMax || this.#stopping.signal.aborted) break;
      await this.#resolve(one, all);
    }
    return all;
  }

  async #resolve(one: InDoubt, all: Resolved): Promise<void> {
    try {
      const fate = await this.ask(one);
      if (fate !== 'open') {
        const answer = await this.branches.end(fate === 'committed' ? 'commit' : 'abort', one);
        if (answer.code === 'ok') {
          all[fate] += 1;
          return;
        }
        all.trouble = answer.message;
      }
    } catch (error) {
      all.trouble = error instanceof Error ? error.message : String(error);
    }
    all.open += 1;
    this.#putOff(keyOf(one));
  }

  #putOff(key: string): void {
    const { intervalMs, pauseMaxMs } = this.#options;
    const before = this.#pauses.get(key)?.lengthMs ?? 0;
    const lengthMs = Math.min(Math.max(2 * before, intervalMs), Math.max(intervalMs, pauseMaxMs));
    this.#pauses.set(key, { until: Date.now() + lengthMs, lengthMs });
  }
}

function keyOf(one: InDoubt): string {
  return `${one.txnId}/${one.name}`;
}
