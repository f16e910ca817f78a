// What the barrier promises, over real databases: one contract for both. It counts in the service's own table what took
// effect. At its end: a service that is killed (SIGKILL) after every step of its local transactions.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join as joinPath } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';

import { Branches, LocalError, newTxnId, type Branch, type BranchesOptions } from '../src';
import { MariaDbBarrier } from '../src/mariadb';
import { attemptId, createdAt } from '../src/ids';
import type { Answer, Register } from '../src/participant/register';
import { PostgresBarrier } from '../src/postgres';
import { Account, join, type Joined, type Kind, type Order } from './support/account';
import { attempt, carryOut, type Step } from './support/calls';
import { DatabaseServer, Look, type Place } from './support/processes';

const other = { epoch: 4n, number: 1n };

for (const kind of ['mariadb', 'postgres'] as const satisfies readonly Kind[]) {
  describe(`the barrier in ${kind}`, () => {
    let server: DatabaseServer;
    let place: Place;
    let look: Look;
    let joined: Joined;
    let branches: Branches<never>;
    let now = Date.now();

    before(async () => {
      server = await DatabaseServer.start(kind);
      place = await server.create();
      look = new Look(kind, place);
      for (const table of Account.tables) await look.rows(table);
      await look.rows('INSERT INTO account VALUES(1, 1000)');
    });
    after(async () => {
      await joined?.barrier.close();
      await look?.end();
      await server?.stop();
    });
    beforeEach(async () => {
      await joined?.barrier.close();
      ({ joined, branches } = await start());
      for (const table of ['effects', 'assent_branches']) await look.rows(`DELETE FROM ${table}`);
      await look.rows('UPDATE account SET balance = 1000');
      await look.rows('UPDATE assent_barrier SET forgotten_through = 0');
    });

    /** The service, as one process of it would be. */
    async function start(options: Partial<BranchesOptions> = {}) {
      const joined = await join(kind, place, { connections: 4, patienceMs: 1_000 });
      return { joined, branches: new Branches<never>({ name: 'tested', retentionMs: 600_000, clock: () => now, ...options }, joined.participant, joined.barrier) };
    }
    const branch = (over: Partial<Branch> = {}): Branch => ({ txnId: newTxnId(), name: 'b', attempt, coordinator: 'c0', ...over });
    const prepare = (one: Branch, order: Order | string | Buffer = {}, by = branches): Promise<Answer> => {
      const payload = Buffer.isBuffer(order) ? order : Buffer.from(typeof order === 'string' ? order : JSON.stringify(order));
      return by.prepare({ branch: one, participant: '', payload, timeLeftMs: 0 });
    };
    const effects = (one: Branch, what: string): Promise<number> => look.number(`SELECT count(*) FROM effects WHERE txn_id = '${one.txnId}' AND what = '${what}'`);
    const balance = (): Promise<number> => look.number('SELECT balance FROM account');
    const register = async (one: Branch): Promise<Register> => {
      const found = await branches.status({ txnId: one.txnId, name: one.name });
      if ('code' in found) throw new Error(found.message);
      return found;
    };

    it('records a yes with its work, and commits it once', async () => {
      const one = branch();
      const yes = await prepare(one, { amount: -5, answer: '17' });
      assert.equal(yes.code, 'ok', yes.message);
      assert.deepEqual([yes.recorded, yes.result, yes.readOnly], [attempt, Buffer.from('17'), false]);
      assert.equal(await balance(), 995);
      const restarted = await start();
      assert.deepEqual(await prepare(one, { amount: -6 }, restarted.branches), yes);
      for (let i = 0; i < 3; ++i) assert.equal((await restarted.branches.end('commit', one)).code, 'ok');
      assert.deepEqual(restarted.joined.participant.calls, { prepare: 0, commit: 1, abort: 0 });
      assert.deepEqual(await prepare(one), yes, 'a late duplicate');
      assert.equal((await branches.end('abort', one)).reason, 'ABORT_AFTER_COMMIT');
      assert.deepEqual([await effects(one, 'prepare'), await effects(one, 'commit'), await effects(one, 'abort'), await balance()], [1, 1, 0, 995]);
      await restarted.joined.barrier.close();
    });

    it('records a no, and none of its work', async () => {
      const one = branch();
      const no = await prepare(one, { amount: -5, then: 'no' });
      assert.deepEqual([no.code, no.reason, no.refusal, no.message], ['aborted', 'VOTE_NO', 'SO_IT_IS', 'the payload said no']);
      assert.deepEqual(await prepare({ ...one, attempt: other }), no, 'the first stays');
      assert.equal((await branches.end('abort', one)).code, 'ok');
      assert.equal((await branches.end('commit', one)).reason, 'COMMIT_AFTER_ABORT');
      assert.deepEqual(joined.participant.calls, { prepare: 1, commit: 0, abort: 0 });
      assert.deepEqual([await effects(one, 'prepare'), await balance(), (await register(one)).state], [0, 1000, 'refused']);
    });

    it('takes what prepare throws for a no, and a read only for no more than that', async () => {
      const thrown = await prepare(branch(), { amount: -5, then: 'throw' });
      assert.deepEqual([thrown.reason, thrown.refusal, thrown.message], ['VOTE_NO', 'EXCEPTION', 'the service fell over']);
      assert.equal(await balance(), 1000);
      const one = branch();
      assert.equal((await prepare(one, { then: 'read-only' })).readOnly, true);
      for (const call of ['abort', 'commit'] as const) assert.equal((await branches.end(call, one)).code, 'ok');
      assert.deepEqual(joined.participant.calls, { prepare: 2, commit: 0, abort: 0 });
    });

    it('leaves nothing of what is put off, and is asked again', async () => {
      const one = branch();
      for (let i = 0; i < 2; ++i) {
        const put = await prepare(one, { amount: -5, putOff: 2 });
        assert.deepEqual([put.code, put.reason, put.message], ['unknown', 'UNAVAILABLE', 'the payload said later']);
        assert.deepEqual([await effects(one, 'prepare'), await balance(), (await register(one)).state], [0, 1000, 'empty']);
      }
      assert.equal((await prepare(one, { amount: -5, putOff: 2 })).code, 'ok');
      assert.deepEqual([await effects(one, 'prepare'), await balance()], [1, 995]);
    });

    it('refuses a prepare that comes after its abort', async () => {
      const one = branch();
      for (let i = 0; i < 2; ++i) assert.equal((await branches.end('abort', one)).code, 'ok');
      assert.equal((await prepare(one)).reason, 'BRANCH_ABORTED');
      assert.equal((await branches.end('commit', one)).reason, 'COMMIT_AFTER_ABORT');
      assert.deepEqual(joined.participant.calls, { prepare: 0, commit: 0, abort: 0 });
    });

    it('gives back an aborted yes once, and only to its own attempt', async () => {
      const one = branch();
      await prepare(one, { amount: -5 });
      assert.deepEqual((await prepare({ ...one, attempt: other })).recorded, attempt);
      for (const call of ['commit', 'abort'] as const) {
        const told = await branches.end(call, { ...one, attempt: other });
        assert.deepEqual([told.reason, told.recorded], ['OTHER_ATTEMPT', attempt]);
      }
      for (let i = 0; i < 2; ++i) assert.equal((await branches.end('abort', one)).code, 'ok');
      assert.deepEqual([await effects(one, 'abort'), await balance()], [1, 1000]);
      assert.equal((await prepare(one)).reason, 'BRANCH_ABORTED');
    });

    it('leaves nothing of a commit of what was never prepared', async () => {
      const one = branch();
      assert.equal((await branches.end('commit', one)).reason, 'NEVER_PREPARED');
      assert.equal((await register(one)).state, 'empty');
      assert.equal((await prepare(one)).code, 'ok');
    });

    it('tells branches apart by every byte, and keeps every byte and every bit', async () => {
      const { txnId } = branch();
      const names = ['b', 'B', 'b ', ' b', 'bb', 'ä', 'a', 'b%', 'n'.repeat(200)];
      for (const [i, name] of names.entries()) {
        const one = branch({ txnId, name, attempt: { epoch: 1n, number: BigInt(i) } });
        assert.deepEqual((await prepare(one)).recorded, one.attempt, `'${name}'`);
      }
      assert.equal(await look.number('SELECT count(*) FROM assent_branches'), names.length);
      const one = branch({ attempt: { epoch: (1n << 64n) - 1n, number: 1n << 63n }, coordinator: "c'ö\\0" });
      const payload = Buffer.concat([Buffer.from([0]), Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1)), Buffer.alloc(100_000, 255)]);
      assert.equal((await prepare(one, payload)).code, 'ok');
      const found = await register(one);
      assert.deepEqual([found.attempt, found.coordinator, found.changedAt], [one.attempt, one.coordinator, now]);
      assert.equal(Buffer.compare(found.payload, payload), 0);
    });

    it('takes back an end that failed, and does it when it comes again, with the payload of the prepare', async () => {
      const one = branch();
      await prepare(one, { amount: 7, failEnds: 2 });
      for (let i = 0; i < 2; ++i) {
        const told = await branches.end('commit', one);
        assert.equal(told.code, 'unknown');
        assert.match(told.message, /the payload says that it fails/);
        assert.deepEqual([await effects(one, 'commit'), (await register(one)).state], [0, 'prepared']);
      }
      assert.equal((await branches.end('commit', one)).code, 'ok');
      assert.deepEqual([await effects(one, 'commit'), await balance()], [1, 1007]);
    });

    it('never makes a yes of work that ended the local transaction by itself', async () => {
      for (const then of ['commit', ...(kind === 'mariadb' ? ['ddl' as const] : [])] as const) {
        const one = branch();
        assert.equal((await prepare(one, { then: then as 'commit' })).code, 'unknown');
        const again = await prepare(one);
        assert.deepEqual([again.reason, again.refusal], ['VOTE_NO', 'TORN']);
        assert.equal(await effects(one, 'prepare'), 1, 'and never ran a second time');
      }
    });

    it('never leaves half of a yes after a statement that failed', async () => {
      const one = branch();
      const told = await prepare(one, { amount: -5, then: 'bad-sql' });
      const isYes = (await register(one)).state === 'prepared';
      assert.equal(told.code === 'ok', isYes);
      assert.equal(await effects(one, 'prepare'), isYes ? 1 : 0);
    });

    it('runs one of many duplicates at once, in whatever process', async () => {
      const second = await start();
      const one = branch();
      const told = await Promise.all(Array.from({ length: 8 }, (_, i) => prepare(one, { amount: -5 }, i % 2 === 0 ? branches : second.branches)));
      assert.ok(told.every((each) => each.code === 'ok' || each.code === 'running'), JSON.stringify(told.map((each) => [each.code, each.message])));
      assert.ok(told.some((each) => each.code === 'ok'));
      assert.deepEqual([await effects(one, 'prepare'), await balance()], [1, 995]);
      const ends = await Promise.all(Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? branches : second.branches).end('commit', one)));
      assert.ok(ends.every((each) => each.code === 'ok' || each.code === 'running'));
      assert.equal((await branches.end('commit', one)).code, 'ok');
      assert.equal(await effects(one, 'commit'), 1);
      await second.joined.barrier.close();
    });

    it('is sound however calls of one branch race', async () => {
      const second = await start();
      for (let round = 0; round < 10; ++round) {
        const one = branch();
        const by = (i: number): Branches<never> => (i % 2 === 0 ? branches : second.branches);
        await Promise.all([prepare(one, { amount: -5 }, by(round)), by(round + 1).end('abort', one), prepare(one, { amount: -5 }, by(round + 1))]);
        let last = await branches.end('abort', one);
        for (let i = 0; i < 100 && last.code !== 'ok'; ++i) last = await branches.end('abort', one);
        assert.equal(last.code, 'ok', last.message);
        assert.deepEqual([await balance(), (await register(one)).state], [1000, 'aborted']);
        assert.equal(await effects(one, 'prepare'), await effects(one, 'abort'));
      }
      await second.joined.barrier.close();
    });

    it('asks again, and says no to nothing, when others hold the lock for too long', async () => {
      const holder = new Look(kind, place);
      await holder.rows('BEGIN');
      await holder.rows('SELECT * FROM account WHERE id = 1 FOR UPDATE');
      const one = branch();
      const told = await prepare(one, { amount: -5 });
      assert.equal(told.code, 'unknown', 'its own UPDATE waited in vain');
      await holder.rows('COMMIT');
      assert.equal((await prepare(one, { amount: -5 })).code, 'ok');
      await holder.end();
    });

    it('makes a connection again that the server has ended meanwhile', async () => {
      const one = branch();
      await prepare(one, { amount: -5 });
      await endConnections();
      const told = await branches.end('commit', one);
      assert.equal(told.code, 'ok', told.message);
    });
    async function endConnections(): Promise<void> {
      if (kind === 'postgres') {
        await look.rows('SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()');
        return;
      }
      const rows = await look.rows('SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()');
      for (const row of rows) await look.rows(`KILL ${String(Object.values(row)[0])}`).catch(() => undefined);
    }

    it('forgets what ended long ago, keeps what is in doubt, and refuses what it may have forgotten', async () => {
      const ended = branch();
      const doubtful = branch();
      await prepare(ended);
      await branches.end('commit', ended);
      await prepare(doubtful);
      const began = now;
      try {
        now = Math.max(createdAt(ended.txnId), createdAt(doubtful.txnId)) + 600_001;
        now = Math.max(now, began + 600_001);
        assert.equal(await branches.forgetSome(), 1);
        assert.deepEqual([(await register(ended)).state, (await register(doubtful)).state], ['forgotten', 'prepared']);
        assert.equal((await prepare(ended)).reason, 'TXN_TOO_OLD');
        assert.equal((await branches.end('commit', ended)).reason, 'BRANCH_FORGOTTEN');
        assert.equal((await branches.end('abort', ended)).code, 'ok');
        assert.deepEqual((await branches.inDoubt(600_000, 10)).map((one) => [one.txnId, one.attempt, one.coordinator]), [[doubtful.txnId, attempt, 'c0']]);
        assert.equal((await branches.end('commit', doubtful)).code, 'ok');
      } finally {
        now = began;
      }
    });

    it('keeps its limits', async () => {
      const small = await start({ limits: { payloadBytesMax: 100, resultBytesMax: 5 } });
      const one = branch();
      assert.equal((await prepare(one, 'x'.repeat(101), small.branches)).refusal, 'PAYLOAD_TOO_LARGE');
      assert.equal((await prepare(one)).refusal, 'PAYLOAD_TOO_LARGE', 'recorded');
      assert.equal((await prepare(branch(), { answer: '123456' }, small.branches)).refusal, 'RESULT_TOO_LARGE');
      assert.equal((await prepare(branch({ name: 'two\nlines' }))).code, 'invalid');
      const told = await branches.prepare({ branch: branch(), participant: 'another', payload: Buffer.alloc(0), timeLeftMs: 0 });
      assert.equal(told.reason, 'WRONG_PARTICIPANT');
      await small.joined.barrier.close();
    });

    it('refuses another database, and tables that are not its own', async () => {
      const elsewhere = await server.create();
      const refused = (error: LocalError): boolean => error.kind === 'refused';
      const open = (connection: Place, work?: { query(text: string): Promise<never> }) =>
        kind === 'mariadb' ? MariaDbBarrier.open({ connection, ...(work ? { work } : {}) }) : PostgresBarrier.open({ connection, ...(work ? { work } : {}) });
      const asWork = (one: Look) => ({
        query: async (text: string) => {
          const rows = await one.rows(text);
          return (kind === 'mariadb' ? [rows] : { rows }) as never;
        },
      });
      await (await open(place, asWork(look))).close();
      const there = new Look(kind, elsewhere);
      await assert.rejects(open(place, asWork(there)), refused, 'no barrier there');
      await (await open(elsewhere)).close();
      await assert.rejects(open(place, asWork(there)), refused, 'another barrier there');
      const strange = await server.create();
      const maker = new Look(kind, strange);
      await maker.rows('CREATE TABLE assent_branches(id INTEGER)');
      await assert.rejects(open(strange), (error: LocalError) => refused(error) && /assent_branches lacks txn_id/.test(error.message));
      await assert.rejects(open({ ...place, port: 1 }), /127.0.0.1:1 cannot be reached/);
      await Promise.all([there.end(), maker.end()]);
    });

    it('makes its tables once, when many start at once', async () => {
      const fresh = await server.create();
      const all = await Promise.all(Array.from({ length: 5 }, () => join(kind, fresh, { connections: 1 })));
      const there = new Look(kind, fresh);
      assert.equal(await there.number('SELECT count(*) FROM assent_barrier'), 1);
      await Promise.all([there.end(), ...all.map((one) => one.barrier.close())]);
    });

    if (kind === 'mariadb') {
      it('refuses a server that may lose what it committed', async () => {
        await look.rows('SET GLOBAL innodb_flush_log_at_trx_commit = 2');
        try {
          await assert.rejects(MariaDbBarrier.open({ connection: place }), /innodb_flush_log_at_trx_commit=2/);
        } finally {
          await look.rows('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
        }
      });
    } else {
      it('commits synchronously where the database does not', async () => {
        await look.rows(`ALTER DATABASE ${place.database} SET synchronous_commit = off`);
        const barrier = await PostgresBarrier.open({ connection: place });
        const local = await barrier.take();
        assert.deepEqual((await local.connection.query('SHOW synchronous_commit')).rows, [{ synchronous_commit: 'on' }]);
        local.release();
        await barrier.close();
      });
    }

    // ---- killed after every step ----

    const scenarios: { name: string; calls: Omit<Step, 'txnId'>[]; steps: number; answer: string; left: [number, number, number, number] }[] = [
      { name: 'prepare and commit', calls: [{ call: 'prepare', payload: '{"amount":-5}' }, { call: 'commit' }], steps: 14, answer: 'ok', left: [1, 1, 0, 995] },
      { name: 'abort of a yes', calls: [{ call: 'prepare', payload: '{"amount":-5}' }, { call: 'abort' }], steps: 14, answer: 'ok', left: [1, 0, 1, 1000] },
      { name: 'a no', calls: [{ call: 'prepare', payload: '{"amount":-5,"then":"no"}' }], steps: 8, answer: 'VOTE_NO', left: [0, 0, 0, 1000] },
      { name: 'an abort first', calls: [{ call: 'abort' }, { call: 'prepare', payload: '{"amount":-5}' }], steps: 7, answer: 'BRANCH_ABORTED', left: [0, 0, 0, 1000] },
    ];
    for (const { name, calls, steps, answer, left } of scenarios) {
      it(`comes through a kill after each step of ${name}`, async () => {
        // The abort of a yes begins with the steps of another scenario: it is killed from the ninth on.
        const from = name === 'abort of a yes' ? 9 : 1;
        const first = newTxnId();
        const cells = Array.from({ length: steps - from + 1 }, (_, i) => ({ die: from + i, txnId: attemptId(first, i + 2) }));
        const next = cells.values();
        const workers = Array.from({ length: 3 }, async () => {
          for (const { die, txnId } of next) assert.equal(await oneLife(calls.map((one) => ({ ...one, txnId })), die), 'SIGKILL', `step ${die}`);
        });
        await Promise.all(workers);
        assert.equal(await oneLife(calls.map((one) => ({ ...one, txnId: first })), steps + 1), null, 'there are no more steps');
        let taken = 0;
        for (const { die, txnId } of [...cells, { die: 0, txnId: first }]) {
          let last: Answer | undefined;
          for (const one of calls) last = await carryOut(branches, { ...one, txnId });
          assert.equal(last?.reason || last?.code, answer, `killed at ${die}`);
          const one = branch({ txnId });
          assert.deepEqual([await effects(one, 'prepare'), await effects(one, 'commit'), await effects(one, 'abort')], left.slice(0, 3), `killed at ${die}`);
          taken += 1000 - left[3];
        }
        assert.equal(await balance(), 1000 - taken);
      });
    }
    function oneLife(calls: Step[], die: number): Promise<string | null> {
      const flags = ['--kind', kind, '--place', JSON.stringify(place), '--calls', JSON.stringify(calls)];
      const child = spawn(process.execPath, [joinPath(__dirname, 'support', 'crash_child.js'), ...flags], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ASSENT_TEST_DIE_AFTER: String(die) },
      });
      return new Promise((resolve) => child.on('exit', (_, signal) => resolve(signal)));
    }
  });
}
