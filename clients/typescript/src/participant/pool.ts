// A bounded number of connections, made when they are needed and given back when they are fit for use. Internal.
import { LocalError } from './barrier';

export class ConnectionPool<C> {
  readonly #idle: C[] = [];
  readonly #waiting: ((free: boolean) => void)[] = [];
  #taken = 0;
  #closed = false;

  constructor(
    private readonly most: number,
    private readonly patienceMs: number,
    private readonly make: () => Promise<C>,
    private readonly end: (connection: C) => void,
    private readonly broken: (connection: C) => boolean,
  ) {}

  /** Throws LocalError busy when none gets free in time, and what make() throws. */
  async take(): Promise<C> {
    if (this.#taken >= this.most && !(await this.#turn())) {
      throw new LocalError('busy', 'all connections to the database were in use by other branches all the time');
    }
    if (this.#closed) throw new LocalError('lost', 'the barrier was closed');
    this.#taken += 1;
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!this.broken(idle)) return idle;
      this.end(idle);
    }
    try {
      return await this.make();
    } catch (error) {
      this.#freed();
      throw error;
    }
  }

  giveBack(connection: C, fit: boolean): void {
    if (fit && !this.#closed && !this.broken(connection)) {
      this.#idle.push(connection);
    } else {
      this.end(connection);
    }
    this.#freed();
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) this.end(connection);
    for (const wake of this.#waiting.splice(0)) wake(true);
  }

  #freed(): void {
    this.#taken -= 1;
    this.#waiting.shift()?.(true);
  }

  // Whoever waits is woken in the order in which he came; a newcomer that is quicker makes him wait once more.
  async #turn(): Promise<boolean> {
    const until = Date.now() + this.patienceMs;
    while (this.#taken >= this.most && !this.#closed) {
      const left = until - Date.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          this.#waiting.splice(this.#waiting.indexOf(wake), 1);
          resolve();
        }, left);
        this.#waiting.push(wake);
      });
    }
    return true;
  }
}
