// One transaction across an Assent shard and two services of this language, one in MariaDB and one in PostgreSQL, one of
// which is killed again and again under load. In the end the books balance and nothing is in doubt.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';

import { Client, newTxnId, type Outcome } from '../src';
import { clients } from '../src/wire';
import { Account } from './support/account';
import { Cluster, DatabaseServer, eventually, Look, pause, ServiceProcess } from './support/processes';

interface Side {
  service: ServiceProcess;
  look: Look;
}

describe('transfers across a shard and two services', () => {
  const servers: DatabaseServer[] = [];
  let cluster: Cluster;
  let client: Client;
  let left: Side;
  let right: Side;

  before(async () => {
    const side = async (kind: 'mariadb' | 'postgres'): Promise<Side> => {
      const server = await DatabaseServer.start(kind);
      servers.push(server);
      const place = await server.create();
      const look = new Look(kind, place);
      for (const table of Account.tables) await look.rows(table);
      await look.rows('INSERT INTO account VALUES(1, 1000)');
      const flags = { kind, place: JSON.stringify(place), name: kind, endpoints: cluster.endpoints.join(',') };
      const service = new ServiceProcess(join(__dirname, 'support', 'account_service.js'), flags);
      await service.start();
      return { service, look };
    };
    cluster = await Cluster.start();
    client = new Client({ endpoints: cluster.endpoints, timeoutMs: 30_000 });
    [left, right] = await Promise.all([side('mariadb'), side('postgres')]);
    await client.run({}, (tx) => tx.put('s1', 'house', '0'));
  });
  after(async () => {
    for (const one of [left, right]) {
      await one?.service.kill();
      await one?.look.end();
    }
    client?.close();
    await Promise.all([cluster?.stop(), ...servers.map((server) => server.stop())]);
  });

  const amount = (value: number): string => JSON.stringify({ amount: value });
  /** From one service to the other; the shard takes one for the house. */
  const move = (from: Side, to: Side, value: number, timeoutMs = 20_000): Promise<Outcome<void>> =>
    client.run({ name: 'transfer', timeoutMs }, (tx) => {
      tx.call(`${from.look.kind}@${from.service.address}`, amount(-value));
      tx.call(`${to.look.kind}@${to.service.address}`, amount(value - 1));
      tx.add('s1', 'house', 1, { escrow: true });
    });
  const balance = (side: Side): Promise<number> => side.look.number('SELECT balance FROM account');
  const house = async (): Promise<number> => {
    const outcome = await client.run({}, async (tx) => Number((await tx.get('s1', 'house'))?.toString()));
    assert.equal(outcome.state, 'committed');
    return outcome.state === 'committed' ? (outcome.value ?? 0) : 0;
  };
  const inDoubt = (side: Side): Promise<number> => side.look.number("SELECT count(*) FROM assent_branches WHERE state = 'prepared'");
  const settled = (): Promise<void> =>
    eventually('nothing is in doubt', async () => {
      for (const side of [left, right]) assert.equal(await inDoubt(side), 0, side.look.kind);
    });

  it('commits on all of them, and tells what each said', async () => {
    const outcome = await move(left, right, 10);
    assert.equal(outcome.state, 'committed', JSON.stringify(outcome, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
    await settled();
    assert.deepEqual([await balance(left), await balance(right), await house()], [990, 1009, 1]);
    if (outcome.state === 'committed') assert.deepEqual([...outcome.answers.keys()].sort(), ['mariadb', 'postgres']);
  });

  it('aborts on all of them when one says no, and says who and why', async () => {
    const outcome = await move(right, left, 1_000_000);
    assert.equal(outcome.state, 'aborted');
    if (outcome.state === 'aborted') assert.deepEqual([outcome.reason, outcome.participant], ['refused', 'postgres']);
    await settled();
    assert.deepEqual([await balance(left), await balance(right), await house()], [990, 1009, 1]);
  });

  it('goes back over the steps of a saga when a later one is refused', async () => {
    const before = [await balance(left), await balance(right)];
    const outcome = await client.run({ name: 'saga', mode: 'saga' }, (tx) => {
      tx.call(`mariadb@${left.service.address}`, amount(-10));
      tx.call(`postgres@${right.service.address}`, amount(-1_000_000));
    });
    assert.equal(outcome.state, 'aborted');
    if (outcome.state === 'aborted') assert.deepEqual([outcome.reason, outcome.participant], ['refused', 'postgres']);
    await eventually('the first step is compensated', async () => assert.equal(await left.look.number(`SELECT count(*) FROM effects WHERE txn_id = '${outcome.id}' AND what = 'abort'`), 1));
    assert.deepEqual([await balance(left), await balance(right)], before);
  });

  it('goes forward over a retriable step that is put off', async () => {
    const before = [await balance(left), await balance(right)];
    const outcome = await client.run({ name: 'saga', mode: 'concurrent-saga' }, (tx) => {
      tx.call(`mariadb@${left.service.address}`, amount(-10));
      tx.call({ name: 'postgres', address: right.service.address, retriable: true }, JSON.stringify({ amount: -5, putOffOnce: true }));
    });
    assert.equal(outcome.state, 'committed');
    await eventually('the step is done', async () => assert.equal(await right.look.number(`SELECT count(*) FROM effects WHERE txn_id = '${outcome.id}' AND what = 'commit'`), 1));
    assert.deepEqual([await balance(left), await balance(right)], [before[0]! - 10, before[1]! - 5]);
    await left.look.rows('UPDATE account SET balance = 990');
    await right.look.rows('UPDATE account SET balance = 1009');
  });

  it('keeps the books while a service is killed again and again', async () => {
    const before = [await balance(left), await balance(right), await house()];
    let stop = false;
    const committed: number[] = [];
    const unknown: { id: string; value: number; ask: string }[] = [];
    let aborted = 0;
    const workers = Array.from({ length: 4 }, async (_, n) => {
      for (let i = 0; !stop; ++i) {
        const value = 2 + ((n + i) % 5);
        const outcome = await move(left, right, value, 8_000);
        if (outcome.state === 'committed') committed.push(value);
        else if (outcome.state === 'unknown') unknown.push({ id: outcome.id, value, ask: outcome.ask });
        else aborted += 1;
      }
    });
    try {
      for (let i = 0; i < 4; ++i) {
        const already = committed.length;
        await eventually('some transfers', () => (committed.length > already ? Promise.resolve() : Promise.reject(new Error(`${aborted} aborted`))));
        const victim = i % 2 === 0 ? left : right;
        await victim.service.kill();
        await pause(100);
        await victim.service.start();
      }
    } finally {
      stop = true; // also when it fails, or the others would go on for ever
    }
    await Promise.all(workers);
    for (const { id, value, ask } of unknown) {
      const outcome = await client.seal(id, { group: ask });
      assert.notEqual(outcome.state, 'unknown');
      if (outcome.state === 'committed') committed.push(value);
    }
    await settled();
    const moved = committed.reduce((sum, value) => sum + value, 0);
    const expected = [before[0] as number, before[1] as number, before[2] as number];
    expected[0] = (expected[0] as number) - moved;
    expected[1] = (expected[1] as number) + moved - committed.length;
    expected[2] = (expected[2] as number) + committed.length;
    assert.deepEqual([await balance(left), await balance(right), await house()], expected, `${committed.length} committed, ${aborted} aborted, ${unknown.length} asked`);
    assert.ok(committed.length >= 4);
  });

  it('is shown by the example', async () => {
    const server = servers.find((one) => one.kind === 'mariadb') as DatabaseServer;
    const place = await server.create();
    const look = new Look('mariadb', place);
    await look.rows('CREATE TABLE ledger(txn_id CHAR(32) PRIMARY KEY, amount BIGINT NOT NULL)');
    await cluster.sql('s1', 'CREATE TABLE accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL)');
    await cluster.sql('s1', "INSERT INTO accounts VALUES('alice', 70)");
    const environment = { ...process.env, ASSENT_ENDPOINTS: cluster.endpoints.join(','), MARIADB: JSON.stringify(place) };
    const example = (): Promise<{ stdout: string }> => promisify(execFile)(process.execPath, [join(__dirname, '..', 'example', 'transfer.js')], { env: environment });
    assert.equal((await example()).stdout, 'moved\n');
    assert.equal((await example()).stdout, 'not moved: alice does not have 50\n');
    await eventually('the ledger has it', async () => assert.equal(await look.number('SELECT SUM(amount) FROM ledger'), 50), 20_000);
    await look.end();
  });

  it('frees a service of what nobody ends, by asking', async () => {
    const participant = new clients.Participant(left.service.address, credentials.createInsecure());
    const txnId = newTxnId();
    const request = { txnId, branch: 'orphan', attempt: { epoch: '1', number: '1' }, coordinator: 'c0', payload: Buffer.from(amount(-7)) };
    const before = await balance(left);
    await new Promise<void>((resolve, reject) => {
      const prepare = (participant as unknown as Record<string, (request: object, done: (error: Error | null) => void) => void>)['prepare'];
      prepare?.call(participant, request, (error) => (error ? reject(error) : resolve()));
    });
    assert.equal(await balance(left), before - 7);
    await settled();
    assert.equal(await balance(left), before, 'what nobody runs is aborted by the question');
    assert.equal((await client.outcome(txnId, { group: 'c0' })).state, 'aborted');
    participant.close();
  });
});
