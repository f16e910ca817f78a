// A barrier whose process is killed (SIGKILL) after the N-th step of its local transactions.
import type { Barrier, LocalTransaction } from '../../src';

const steps = new Set(['begin', 'load', 'insert', 'update', 'forgottenThrough', 'beginWork', 'keepWork', 'undoWork', 'commit']);

export function dyingAfter<C>(inner: Barrier<C>, count: number): Barrier<C> {
  let left = count;
  const dying = (local: LocalTransaction<C>): LocalTransaction<C> =>
    new Proxy(local, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          const done: unknown = await (value as (...all: unknown[]) => unknown).apply(target, args);
          if (steps.has(String(name)) && --left === 0) {
            process.kill(process.pid, 'SIGKILL');
            await new Promise(() => undefined); // nothing more happens until it is dead
          }
          return done;
        };
      },
    });
  return {
    take: async () => withSynchronous(await inner.take(), dying),
    close: () => inner.close(),
  };
}

// classify() and release() are not asynchronous.
function withSynchronous<C>(local: LocalTransaction<C>, dying: (local: LocalTransaction<C>) => LocalTransaction<C>): LocalTransaction<C> {
  return new Proxy(dying(local), {
    get(target, name) {
      if (name === 'classify') return local.classify.bind(local);
      if (name === 'release') return local.release.bind(local);
      return Reflect.get(target, name) as unknown;
    },
  });
}
