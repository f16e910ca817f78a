// The client against a real cluster of three nodes.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { AssentError, Client, newTxnId, type Outcome } from '../src';
import { Cluster, freePorts } from './support/processes';

function committed<T>(outcome: Outcome<T>) {
  assert.equal(outcome.state, 'committed', JSON.stringify(outcome, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
  if (outcome.state !== 'committed') throw new Error('not reached');
  return outcome;
}
function aborted<T>(outcome: Outcome<T>) {
  assert.equal(outcome.state, 'aborted');
  if (outcome.state !== 'aborted') throw new Error('not reached');
  return outcome;
}

describe('a client', () => {
  let cluster: Cluster;
  let client: Client;
  before(async () => {
    cluster = await Cluster.start();
    client = new Client({ endpoints: cluster.endpoints.slice(0, 1), timeoutMs: 20_000 });
    for (const shard of ['s1', 's2']) {
      await cluster.sql(shard, 'CREATE TABLE accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK(balance >= 0))');
      await cluster.sql(shard, "INSERT INTO accounts VALUES('alice', 100), ('bob', 100)");
    }
  });
  after(async () => {
    client?.close();
    await cluster?.stop();
  });
  const balance = async (shard: string, id: string): Promise<bigint> =>
    (await client.query(shard, 'SELECT balance FROM accounts WHERE id = ?1', [id])).rows[0]?.[0] as bigint;

  it('reads what it read and wrote, and commits it on two shards', async () => {
    const outcome = committed(
      await client.run({ name: 'transfer' }, async (tx) => {
        const { rows } = await tx.query('s1', 'SELECT balance FROM accounts WHERE id = ?1', 'alice');
        tx.execute('s1', 'UPDATE accounts SET balance = balance - ?1 WHERE id = ?2', 30, 'alice');
        tx.execute('s2', 'UPDATE accounts SET balance = balance + ?1 WHERE id = ?2', 30n, 'bob');
        tx.put('s2', 'note', 'moved');
        const after = await tx.query('s1', "SELECT balance FROM accounts WHERE id = 'alice'");
        assert.equal((await tx.get('s2', 'note'))?.toString(), 'moved');
        return [rows[0]?.[0], after.rows[0]?.[0]];
      }),
    );
    assert.deepEqual(outcome.value, [100n, 70n]);
    assert.deepEqual([await balance('s1', 'alice'), await balance('s2', 'bob')], [70n, 130n]);
    assert.deepEqual([...outcome.participants].sort(), ['s1', 's2']);
    assert.equal((await client.outcome(outcome.id)).state, 'committed');
    assert.equal((await client.seal(outcome.id)).state, 'committed', 'a seal changes nothing that is decided');
  });

  it('keeps every value of 64 bits, and tells integers from reals', async () => {
    await cluster.sql('s1', 'CREATE TABLE every(id INTEGER PRIMARY KEY, a, b, c, d, e)');
    const most = 2n ** 63n - 1n;
    committed(
      await client.run({}, (tx) => tx.execute('s1', 'INSERT INTO every VALUES(?1, ?2, ?3, ?4, ?5, ?6)', most, -(2n ** 63n), 0.5, 'ä😀', Buffer.from([0, 255]), null)),
    );
    const { rows } = await client.query('s1', 'SELECT * FROM every');
    assert.deepEqual(rows, [[most, -(2n ** 63n), 0.5, 'ä😀', Buffer.from([0, 255]), null]]);
    await assert.rejects(client.query('s1', 'SELECT ?1', [2n ** 63n]), /does not fit into 64 bits/);
    await assert.rejects(client.query('s1', 'SELECT ?1', [Number.NaN]), /NaN/);
  });

  it('reads of any replica that can prove that it is young enough', async () => {
    for (let i = 0; i < 6; ++i) {
      const { rows } = await client.query('s1', 'SELECT ?1', [7], { maxStalenessMs: 5_000 });
      assert.deepEqual(rows, [[7n]]);
    }
    await assert.rejects(client.query('s1', 'SELECT 1', [], { maxStalenessMs: 0 }), /1 ms or more/);
  });

  it('takes a refusal for what it is, and never runs it again', async () => {
    let runs = 0;
    const outcome = aborted(
      await client.run({}, (tx) => {
        runs += 1;
        tx.execute('s1', "UPDATE accounts SET balance = balance - 1000 WHERE id = 'bob'");
        tx.execute('s2', "UPDATE accounts SET balance = balance + 1000 WHERE id = 'bob'");
      }),
    );
    assert.equal(outcome.reason, 'constraint');
    assert.equal(outcome.participant, 's1');
    assert.equal(runs, 1);
    assert.equal(await balance('s1', 'bob'), 100n);
  });

  it('runs the function again when what it read has changed, with no update lost', async () => {
    committed(await client.run({}, (tx) => tx.put('s1', 'counter', '0')));
    let runs = 0;
    const increments = Array.from({ length: 6 }, async () => {
      for (let i = 0; i < 5; ++i) {
        committed(
          await client.run({ timeoutMs: 60_000, attemptsMax: 1_000 }, async (tx) => {
            runs += 1;
            const value = Number((await tx.get('s1', 'counter'))?.toString());
            tx.put('s1', 'counter', String(value + 1));
          }),
        );
      }
    });
    await Promise.all(increments);
    const last = committed(await client.run({}, async (tx) => (await tx.get('s1', 'counter'))?.toString()));
    assert.equal(last.value, '30');
    assert.ok(runs > 30, 'somebody was in somebody\'s way');
  });

  it('stops after so many attempts, and says conflict', async () => {
    committed(await client.run({}, (tx) => tx.put('s1', 'moving', '0')));
    let runs = 0;
    const outcome = aborted(
      await client.run({ attemptsMax: 3 }, async (tx) => {
        runs += 1;
        await tx.get('s1', 'moving');
        committed(await client.run({}, (other) => other.put('s1', 'moving', String(runs))));
        tx.put('s1', 'copy', 'x');
      }),
    );
    assert.equal(outcome.reason, 'conflict');
    assert.equal(runs, 3);
    assert.equal(outcome.earlier.length, 2);
  });

  it('does not begin what its function gave up or threw', async () => {
    const gaveUp = aborted(
      await client.run({}, async (tx) => {
        tx.put('s1', 'never', '1');
        if ((await tx.get('s1', 'absent')) === undefined) tx.abort('there is no such key');
      }),
    );
    assert.equal(gaveUp.reason, 'gave_up');
    assert.equal(gaveUp.message, 'there is no such key');
    await assert.rejects(
      client.run({}, (tx) => {
        tx.put('s1', 'never', '1');
        throw new RangeError('of the user');
      }),
      RangeError,
    );
    await assert.rejects(client.run({}, (tx) => tx.query('s1', 'SELECT FROM')), (error: AssentError) => error.code === 'invalid');
    assert.equal(committed(await client.run({}, (tx) => tx.get('s1', 'never'))).value, undefined);
  });

  it('keeps operations in the order of their calls, awaited or not', async () => {
    const outcome = committed(
      await client.run({}, async (tx) => {
        tx.put('s1', 'order', 'a');
        const first = tx.get('s1', 'order');
        tx.put('s1', 'order', 'b');
        const second = tx.get('s1', 'order');
        tx.put('s1', 'order', 'c');
        void tx.get('s2', 'order'); // nobody waits for it
        return [(await first)?.toString(), (await second)?.toString()];
      }),
    );
    assert.deepEqual(outcome.value, ['a', 'b']);
    assert.equal(committed(await client.run({}, async (tx) => (await tx.get('s1', 'order'))?.toString())).value, 'c');
  });

  it('reads two shards at one moment', async () => {
    const move = async () => {
      committed(
        await client.run({}, (tx) => {
          tx.add('s1', 'left', -1, { escrow: true });
          tx.add('s2', 'right', 1, { escrow: true });
        }),
      );
    };
    let runs = 0;
    const sum = committed(
      await client.run({}, async (tx) => {
        const left = Number((await tx.get('s1', 'left')) ?? 0);
        if (++runs <= 2) await move(); // between its two reads
        return left + Number((await tx.get('s2', 'right')) ?? 0);
      }),
    );
    assert.equal(sum.value, 0);
    assert.equal(runs, 3);
  });

  it('holds bounds of an add in escrow', async () => {
    committed(await client.run({}, (tx) => tx.put('s1', 'stock', '5')));
    const take = () => client.run({}, (tx) => tx.add('s1', 'stock', -1n, { floor: 0n, escrow: true }));
    const outcomes = await Promise.all(Array.from({ length: 12 }, take));
    assert.equal(outcomes.filter((one) => one.state === 'committed').length, 5);
    assert.ok(outcomes.every((one) => one.state === 'committed' || (one.state === 'aborted' && one.reason === 'constraint')));
  });

  it('runs a request once, however often and wherever it is asked for', async () => {
    const requestId = newTxnId();
    const other = new Client({ endpoints: cluster.endpoints, timeoutMs: 20_000 });
    const book = (by: Client, shard: string) => by.run({ requestId }, (tx) => tx.add(shard, 'booked', 1));
    const outcomes = await Promise.all([book(client, 's1'), book(other, 's1'), book(client, 's2'), book(other, 's2')]);
    outcomes.push(await book(client, 's1'), await book(other, 's2'));
    const first = committed(outcomes[0] as Outcome<void>);
    for (const outcome of outcomes) assert.equal(committed(outcome).id, first.id);
    const sum = committed(await client.run({}, async (tx) => Number((await tx.get('s1', 'booked')) ?? 0) + Number((await tx.get('s2', 'booked')) ?? 0)));
    assert.equal(sum.value, 1);
    other.close();
    await assert.rejects(client.run({ requestId: 'order-17' }, () => undefined), /newTxnId/);
  });

  it('seals what was never begun, and says nothing about it before', async () => {
    const id = newTxnId();
    const before = await client.outcome(id);
    assert.equal(before.state, 'unknown');
    assert.equal(aborted(await client.seal(id)).reason, 'sealed');
    assert.equal((await client.outcome(id)).state, 'aborted');
  });

  it('says what it tried when nobody answers', async () => {
    const [port] = await freePorts(1);
    const lonely = new Client({ endpoints: [`127.0.0.1:${port}`], timeoutMs: 300 });
    await assert.rejects(lonely.run({}, () => undefined), (error: AssentError) => {
      assert.equal(error.code, 'unreachable');
      assert.match(error.message, new RegExp(`127.0.0.1:${port}: connection refused`));
      return true;
    });
    lonely.close();
    await assert.rejects(client.query('s9', 'SELECT 1'), (error: AssentError) => error.code === 'not_found' && /c0/.test(error.message));
    assert.throws(() => new Client({ endpoints: ['nonsense'] }), /host:port/);
  });

  it('goes on when the node that leads is killed, and every acknowledged update is there once', async () => {
    committed(await client.run({}, (tx) => tx.put('s1', 'total', '0')));
    let acknowledged = 0;
    const asked: string[] = [];
    const victim = await cluster.leader('s1');
    const work = Array.from({ length: 4 }, async () => {
      for (let i = 0; i < 15; ++i) {
        const outcome = await client.run({ timeoutMs: 30_000 }, (tx) => {
          tx.add('s1', 'total', 1, { escrow: true });
          tx.add('s2', 'mirror', 1, { escrow: true });
        });
        if (outcome.state === 'committed') acknowledged += 1;
        if (outcome.state === 'unknown') asked.push(outcome.id);
      }
    });
    await cluster.killNode(victim);
    await Promise.all(work);
    for (const id of asked) if ((await client.seal(id)).state === 'committed') acknowledged += 1;
    const sums = committed(await client.run({ timeoutMs: 30_000 }, async (tx) => [(await tx.get('s1', 'total'))?.toString(), (await tx.get('s2', 'mirror'))?.toString()]));
    assert.deepEqual(sums.value, [String(acknowledged), String(acknowledged)]);
    assert.ok(acknowledged > 0);
    cluster.startNode(victim);
    await cluster.ready();
  });
});
