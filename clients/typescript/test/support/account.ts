// A service that the tests drive: one account, whose balance must not fall below zero, in either database. Its payload is
// JSON: {"amount": -5} takes at prepare and gives back at abort, {"amount": 5} gives at commit. It counts what took effect.
import type { Connection as MariaDb } from 'mysql2/promise';
import type { Client } from 'pg';

import { later, no, readOnly, yes, type Barrier, type Branch, type Participant, type Vote } from '../../src/participant/barrier';
import type { Place } from './processes';

export type Kind = 'mariadb' | 'postgres';
export type Run = (sql: string) => Promise<number>; // rows affected

export interface Order {
  amount?: number;
  answer?: string;
  then?: 'no' | 'throw' | 'read-only' | 'commit' | 'bad-sql' | 'ddl';
  failEnds?: number; // so many of its commits or aborts throw
  putOff?: number; // so many of its prepares say later
  putOffOnce?: boolean; // the first prepare of the branch does
}

/** What the two databases have in common. */
export abstract class Account<Connection> implements Participant<Connection> {
  readonly calls = { prepare: 0, commit: 0, abort: 0 };
  readonly #putOff = new Set<string>();
  protected abstract run(db: Connection): Run;

  static readonly tables = [
    'CREATE TABLE account(id INTEGER PRIMARY KEY, balance BIGINT NOT NULL CHECK(balance >= 0))',
    'CREATE TABLE effects(txn_id CHAR(32) NOT NULL, branch VARCHAR(200) NOT NULL, what VARCHAR(10) NOT NULL)',
  ];

  async prepare(branch: Branch, db: Connection, payload: Buffer): Promise<Vote> {
    this.calls.prepare += 1;
    const run = this.run(db);
    const order = parse(payload);
    await count(run, branch, 'prepare');
    if (this.calls.prepare <= (order.putOff ?? 0)) return later('the payload said later');
    const key = `${branch.txnId}/${branch.name}`;
    if (order.putOffOnce && !this.#putOff.has(key)) {
      this.#putOff.add(key);
      return later('the payload said later, once');
    }
    const amount = order.amount ?? 0;
    if (amount < 0 && (await run(`UPDATE account SET balance = balance - ${-amount} WHERE id = 1 AND balance >= ${-amount}`)) !== 1) {
      return no('TOO_POOR', `the account does not have ${-amount}`);
    }
    switch (order.then) {
      case 'no':
        return no('SO_IT_IS', 'the payload said no');
      case 'throw':
        throw new Error('the service fell over');
      case 'read-only':
        return readOnly(order.answer);
      case 'commit':
        await run('COMMIT');
        break;
      case 'ddl':
        await run(`CREATE TABLE made_${branch.txnId}(id INTEGER)`);
        break;
      case 'bad-sql':
        await run('SELECT no_such_column FROM account').catch(() => 0);
        break;
    }
    return yes(order.answer);
  }

  async commit(branch: Branch, db: Connection, payload: Buffer): Promise<void> {
    this.calls.commit += 1;
    const order = parse(payload);
    await count(this.run(db), branch, 'commit');
    if (this.calls.commit <= (order.failEnds ?? 0)) throw new Error('the payload says that it fails');
    if ((order.amount ?? 0) > 0) await this.run(db)(`UPDATE account SET balance = balance + ${order.amount} WHERE id = 1`);
  }

  async abort(branch: Branch, db: Connection, payload: Buffer): Promise<void> {
    this.calls.abort += 1;
    const order = parse(payload);
    await count(this.run(db), branch, 'abort');
    if (this.calls.abort <= (order.failEnds ?? 0)) throw new Error('the payload says that it fails');
    if ((order.amount ?? 0) < 0) await this.run(db)(`UPDATE account SET balance = balance + ${-(order.amount ?? 0)} WHERE id = 1`);
  }
}

function parse(payload: Buffer): Order {
  if (payload.length === 0 || payload[0] !== '{'.charCodeAt(0)) return {};
  return JSON.parse(payload.toString()) as Order;
}
async function count(run: Run, branch: Branch, what: string): Promise<void> {
  await run(`INSERT INTO effects VALUES('${branch.txnId}', '${Buffer.from(branch.name).toString('hex').slice(0, 200)}', '${what}')`);
}

export class MariaDbAccount extends Account<MariaDb> {
  protected run(db: MariaDb): Run {
    return async (sql) => {
      const [done] = await db.query(sql);
      return (done as { affectedRows?: number }).affectedRows ?? 0;
    };
  }
}
export class PostgresAccount extends Account<Client> {
  protected run(db: Client): Run {
    return async (sql) => (await db.query(sql)).rowCount ?? 0;
  }
}

/** A participant joined to a barrier, whatever the database: for code that does not care. Loads the driver that it needs. */
export interface Joined {
  participant: Account<never> & Participant<never>;
  barrier: Barrier<never>;
}
export async function join(kind: Kind, place: Place, options: { connections?: number; patienceMs?: number } = {}): Promise<Joined> {
  if (kind === 'mariadb') {
    const { MariaDbBarrier } = await import('../../src/mariadb.js');
    return { participant: new MariaDbAccount(), barrier: await MariaDbBarrier.open({ connection: place, ...options }) } as unknown as Joined;
  }
  const { PostgresBarrier } = await import('../../src/postgres.js');
  return { participant: new PostgresAccount(), barrier: await PostgresBarrier.open({ connection: place, ...options }) } as unknown as Joined;
}
