// Time: deadlines, pauses that grow and vary, the pace of one operation. Deadlines are milliseconds of the clock that
// never goes back (performance.now()).
import { performance } from 'node:perf_hooks';

export type Deadline = number;

export const now = (): number => performance.now();
export const leftUntil = (deadline: Deadline): number => Math.max(0, deadline - now());

/** Ends early, without a word, when the signal is aborted. */
export function sleep(millis: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, millis));
    signal?.addEventListener('abort', done);
  });
}

/** Bounded exponential growth with jitter, so that many who failed together do not come back together. */
export class Backoff {
  #current: number;
  constructor(
    initialMs: number,
    private readonly maxMs: number,
  ) {
    this.#current = initialMs;
  }
  /** Between half of the current pause and all of it. */
  next(): number {
    const pause = this.#current * (0.5 + 0.5 * Math.random());
    this.#current = Math.min(this.#current * 2, this.maxMs);
    return pause;
  }
}

const hintsFollowedAtOnceMax = 3;

/** How long the next attempt of an operation may take, and the pause before it. */
export class Pace {
  #attemptMs: number;
  #followed = 0;
  readonly #backoff = new Backoff(10, 200);
  constructor(
    readonly deadline: Deadline,
    attemptMs: number,
  ) {
    this.#attemptMs = attemptMs;
  }
  attemptDeadline(): Deadline {
    const own = now() + this.#attemptMs;
    this.#attemptMs *= 2;
    return Math.min(own, this.deadline);
  }
  /** Hints are followed at once, but not for ever: two nodes may point at each other. */
  pause(followNow: boolean): number {
    if (followNow && ++this.#followed % (hintsFollowedAtOnceMax + 1) !== 0) return 0;
    return Math.min(this.#backoff.next(), leftUntil(this.deadline));
  }
  over(): boolean {
    return now() >= this.deadline;
  }
}
