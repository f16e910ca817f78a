// The pure parts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metadata, status as Code, type ServiceError } from '@grpc/grpc-js';

import { askCoordinator, AssentError, createdAt, IncomingTransaction, newTxnId, Resolver, Txn, type ServiceMode, type Attempt, type Branches, type Client, type Fate, type Outcome } from '../src';
import { readDetails, writeDetails } from '../src/details';
import { Directory } from '../src/directory';
import { judge as judgeCall } from '../src/errors';
import { attemptId, isTxnId } from '../src/ids';
import { isName, tidyText } from '../src/names';
import { aborted, committed, unknown } from '../src/outcome';
import { Backoff } from '../src/pace';
import { LocalError } from '../src/participant/barrier';
import { ConnectionPool } from '../src/participant/pool';
import { blank, judge, ok, recordEnd, recordVote, type BranchState, type Call } from '../src/participant/register';
import { checkColumns, firstIdOf, fromRow, latestCreated, toRow } from '../src/participant/tables';
import { decodeEnlistment, encodeEnlistment, withTransaction } from '../src/propagation';
import { decodeValue, encodeValue } from '../src/values';
import { participantService } from '../src/wire';

describe('ids', () => {
  it('are UUIDv7 of the time that they were made', () => {
    const before = Date.now();
    const id = newTxnId();
    assert.match(id, /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
    assert.ok(createdAt(id) >= before && createdAt(id) <= Date.now());
    assert.notEqual(newTxnId(), id);
  });
  it('of later attempts follow from the first, and keep its age', () => {
    const first = newTxnId();
    assert.equal(attemptId(first, 1), first);
    const second = attemptId(first, 2);
    assert.equal(attemptId(first, 2), second);
    assert.ok(isTxnId(second) && second !== first && attemptId(first, 3) !== second);
    assert.equal(createdAt(second), createdAt(first));
  });
  it('are nothing else', () => {
    for (const bad of ['', '0'.repeat(32), 'A'.repeat(32), 'a'.repeat(31), `${'a'.repeat(31)}\n`, 7, undefined]) assert.ok(!isTxnId(bad), String(bad));
  });
});

describe('values', () => {
  it('come back as they went', () => {
    for (const value of [null, 0n, -(2n ** 63n), 2n ** 63n - 1n, 0.5, -1e300, Infinity, '', 'ä😀']) {
      const wire = encodeValue(value);
      const kind = Object.keys(wire)[0] as 'integer';
      assert.deepEqual(decodeValue({ ...wire, kind }), value);
    }
    assert.deepEqual(encodeValue(Number.MAX_SAFE_INTEGER), { integer: '9007199254740991' });
    assert.deepEqual(encodeValue(2 ** 60), { real: 2 ** 60 });
  });
});

describe('names', () => {
  it('are up to 200 bytes of UTF-8 without control characters', () => {
    for (const good of ['a', 'ä'.repeat(100), 'payment/1 "quoted" %', '😀']) assert.ok(isName(good), good);
    for (const bad of ['', 'n'.repeat(201), 'ä'.repeat(101), 'two\nlines', '\u007f', '\u0085', '\ud800', 'x\udc00']) assert.ok(!isName(bad), JSON.stringify(bad));
    assert.equal(tidyText('a\nb\ud800c', 100), 'a?b?c');
    assert.equal(tidyText('ää', 3), 'ä', 'not cut inside a character');
  });
});

describe('numbers of 64 bits on the wire', () => {
  it('are kept to the last bit', () => {
    const prepare = participantService['Prepare'];
    for (const number of [0n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n]) {
      const bytes = prepare?.requestSerialize({ attempt: { epoch: number.toString(), number: '7' } });
      const back = prepare?.requestDeserialize(bytes as Buffer) as { attempt: { epoch: string } };
      assert.equal(BigInt(back.attempt.epoch), number);
    }
  });
});

// The table of participant.proto, line by line.
describe('the register', () => {
  const a = { epoch: (1n << 64n) - 1n, number: 1n };
  const b = { epoch: 2n, number: 1n };
  const answers: [BranchState, string, Record<Call, string>][] = [
    ['empty', 'a', { prepare: 'writes', commit: 'not_found NEVER_PREPARED', abort: 'writes' }],
    ['running', 'a', { prepare: 'running STILL_RUNNING', commit: 'running STILL_RUNNING', abort: 'running STILL_RUNNING' }],
    ['prepared', 'a', { prepare: 'ok', commit: 'writes', abort: 'writes' }],
    ['committed', 'a', { prepare: 'ok', commit: 'ok', abort: 'aborted ABORT_AFTER_COMMIT' }],
    ['read_only', 'a', { prepare: 'ok', commit: 'ok', abort: 'ok' }],
    ['prepared', 'b', { prepare: 'ok', commit: 'aborted OTHER_ATTEMPT', abort: 'aborted OTHER_ATTEMPT' }],
    ['committed', 'b', { prepare: 'ok', commit: 'aborted OTHER_ATTEMPT', abort: 'aborted OTHER_ATTEMPT' }],
    ['read_only', 'b', { prepare: 'ok', commit: 'aborted OTHER_ATTEMPT', abort: 'aborted OTHER_ATTEMPT' }],
    ['refused', 'a', { prepare: 'aborted VOTE_NO', commit: 'aborted COMMIT_AFTER_ABORT', abort: 'ok' }],
    ['aborted', 'a', { prepare: 'aborted BRANCH_ABORTED', commit: 'aborted COMMIT_AFTER_ABORT', abort: 'ok' }],
    ['forgotten', 'a', { prepare: 'aborted TXN_TOO_OLD', commit: 'not_found BRANCH_FORGOTTEN', abort: 'ok' }],
  ];
  for (const [state, attempt, expected] of answers) {
    it(`that is ${state}, to a call of ${attempt === 'a' ? 'its' : 'another'} attempt`, () => {
      const found = { ...blank(state), attempt: b };
      if (attempt === 'a') found.attempt = a;
      for (const call of ['prepare', 'commit', 'abort'] as const) {
        const ruling = judge(call, found, a);
        assert.equal(ruling === 'writes' ? ruling : `${ruling.code} ${ruling.reason}`.trim(), expected[call], call);
        if (ruling !== 'writes' && call === 'prepare' && ruling.code === 'ok') assert.deepEqual(ruling.recorded, found.attempt);
      }
    });
  }
  it('is what was written into a row', () => {
    const branch = { txnId: newTxnId(), name: 'b', attempt: a, coordinator: 'c0' };
    const payload = Buffer.from([0, 255, 10]);
    const yes = recordVote(branch, payload, { kind: 'yes', result: Buffer.from('r') }, 17);
    assert.equal(toRow(yes).epoch, '-1');
    for (const one of [yes, recordEnd(yes, 'commit', 18), recordEnd(yes, 'abort', 18), recordVote(branch, payload, { kind: 'no', refusal: 'A\nB', message: 'x' }, 19)]) {
      assert.deepEqual(fromRow(toRow(one)), one);
    }
    assert.throws(() => fromRow({ ...toRow(yes), state: 'nearly' }), /no state of a branch/);
    assert.throws(() => fromRow({ ...toRow(yes), epoch: null, number: null }), /has no attempt/);
  });
  it('stands in tables that are known by their columns', () => {
    checkColumns('assent_barrier', ['forgotten_through', 'id', 'version', 'identity']);
    assert.throws(() => checkColumns('assent_barrier', ['id', 'version', 'identity', 'colour']), /lacks forgotten_through, has colour besides/);
    assert.equal(createdAt(firstIdOf(1_800_000_000_000)), 1_800_000_000_000);
    assert.equal(latestCreated([firstIdOf(5), firstIdOf(9), 'nonsense']), 9);
  });
});

describe('an error of a call', () => {
  const failed = (code: Code, details: string, metadata = new Metadata()): ServiceError =>
    Object.assign(new Error(details), { code, details, metadata });
  it('says whether it may have been done', () => {
    const leader = writeDetails(Code.UNAVAILABLE, 'm', { reason: 'NOT_LEADER', metadata: { leader: 'n2', group: 'c0' } });
    assert.deepEqual(judgeCall(failed(Code.UNAVAILABLE, 'm', leader)).hint, { leader: 'n2', group: 'c0', endpoint: '' });
    const verdict = (error: ServiceError): string => judgeCall(error).verdict;
    assert.equal(verdict(failed(Code.UNAVAILABLE, 'm', leader)), 'elsewhere');
    assert.equal(verdict(failed(Code.UNAVAILABLE, 'No connection established. Last error: connect ECONNREFUSED')), 'unsent');
    assert.equal(verdict(failed(Code.UNAVAILABLE, 'Connection dropped')), 'lost');
    assert.equal(verdict(failed(Code.DEADLINE_EXCEEDED, 'x')), 'lost');
    assert.equal(verdict(failed(Code.INTERNAL, 'x')), 'lost');
    const strange = writeDetails(Code.UNAVAILABLE, 'm', { reason: 'OF_A_LATER_VERSION', metadata: {} });
    assert.equal(verdict(failed(Code.UNAVAILABLE, 'm', strange)), 'lost');
  });
  it('may carry bytes of a stranger', () => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([255, 255, 1]));
    assert.equal(readDetails(metadata), undefined);
    assert.equal(readDetails(new Metadata()), undefined);
  });
});

describe('the directory', () => {
  const replica = (epoch: number, leader: string, leads: boolean) => ({ group: 's1', role: 'shard', leader, leads, epoch: String(epoch) });
  it('believes the highest epoch, and a hint until an answer contradicts it', () => {
    const directory = new Directory(['a:1']);
    const nodes = [{ name: 'n1', clientEndpoint: 'a:1' }, { name: 'n2', clientEndpoint: 'b:1' }];
    directory.answered('a:1', { node: 'n1', nodes, replicas: [replica(2, 'n1', true)] });
    directory.answered('b:1', { node: 'n2', nodes, replicas: [replica(1, 'n2', true)] });
    assert.equal(directory.leader('s1')?.node, 'n1', 'a view of the past');
    const target = directory.leader('s1');
    assert.ok(target && directory.notLeading(target, { group: '', leader: 'n2', endpoint: '' }));
    assert.equal(directory.leader('s1')?.endpoint, 'b:1');
    directory.failed('b:1', 'connection refused');
    assert.equal(directory.leader('s1'), undefined);
    assert.match(directory.nobody('s1').message, /no leader that answers[^]*b:1 \(n2\): connection refused/);
    assert.equal(directory.lacks('s9'), false, 'not while one endpoint is silent');
  });
});

describe('pauses', () => {
  it('grow to their bound and vary', () => {
    const backoff = new Backoff(10, 35);
    for (const full of [10, 20, 35, 35]) {
      const pause = backoff.next();
      assert.ok(pause >= full / 2 && pause <= full, `${pause} of ${full}`);
    }
  });
});

describe('a service in doubt', () => {
  const attempt = { epoch: 3n, number: 7n };
  const one = { txnId: newTxnId(), name: 'b', attempt, coordinator: 'c0', since: 0 };
  const fate = (outcome: Outcome, coordinator = 'c0'): Promise<string> => {
    const client = { seal: () => Promise.resolve(outcome) } as unknown as Client;
    return askCoordinator(client)({ ...one, coordinator });
  };
  const committedAs = (of: Attempt | undefined): Outcome => ({ ...committed(one.txnId, 'c0', [], undefined), attempt: of });

  it('ends as it is told, and decides nothing', async () => {
    assert.equal(await fate(committedAs(undefined)), 'committed', 'a cluster that does not tell the attempt');
    assert.equal(await fate(committedAs(attempt)), 'committed');
    assert.equal(await fate(committedAs({ epoch: 3n, number: 8n })), 'aborted', 'its yes was never counted');
    assert.equal(await fate(aborted(one.txnId, 'c0', 'sealed', '')), 'aborted');
    assert.equal(await fate({ ...aborted(one.txnId, 'c0', 'refused', ''), inOrder: true }), 'open', 'a compensation in an order waits for its turn');
    assert.equal(await fate(unknown(one.txnId, 'c0', 'expired', '')), 'aborted');
    assert.equal(await fate(unknown(one.txnId, 'c0', 'expired', ''), ''), 'open', "another group's word proves nothing");
    for (const seen of ['nothing', 'running', 'prepared'] as const) assert.equal(await fate(unknown(one.txnId, 'c0', seen, '')), 'open');
  });

  it('is asked about again after a pause, and holds up no other', async () => {
    const asked: string[] = [];
    const ended: string[] = [];
    const doubtful = [{ ...one, name: 'lost' }, { ...one, name: 'told' }];
    const branches = {
      inDoubt: () => Promise.resolve(doubtful.filter((each) => !ended.includes(each.name))),
      end: (call: string, branch: { name: string }) => {
        if (call === 'commit') ended.push(branch.name);
        return Promise.resolve(ok);
      },
      forgetSome: () => Promise.resolve(0),
    };
    let looks = 0;
    let secondLook = (): void => undefined;
    const done = new Promise<void>((resolve) => (secondLook = resolve));
    const told = (): void => void (++looks === 2 && secondLook());
    const ask = (each: { name: string }): Promise<Fate> => {
      asked.push(each.name);
      return each.name === 'lost' ? Promise.reject(new Error('away')) : Promise.resolve('committed');
    };
    const resolver = new Resolver(branches as unknown as Branches<unknown>, ask, { patienceMs: 0, intervalMs: 1, pauseMaxMs: 5, told });
    await done;
    await resolver.stop();
    assert.deepEqual(ended, ['told']);
    assert.deepEqual(asked.slice(0, 3), ['lost', 'told', 'lost']);
  });
});

describe('a pool', () => {
  it('waits for what is given back, not for ever, and drops what is broken', async () => {
    let made = 0;
    const ended: number[] = [];
    const broken = new Set<number>();
    const pool = new ConnectionPool<number>(1, 30, () => Promise.resolve(++made), (one) => ended.push(one), (one) => broken.has(one));
    assert.equal(await pool.take(), 1);
    await assert.rejects(pool.take(), (error: LocalError) => error.kind === 'busy');
    const waiting = pool.take();
    pool.giveBack(1, true);
    assert.equal(await waiting, 1);
    pool.giveBack(1, true);
    broken.add(1);
    assert.equal(await pool.take(), 2);
    pool.giveBack(2, false);
    assert.deepEqual(ended, [1, 2]);
    assert.equal(await pool.take(), 3);
    pool.close();
    await assert.rejects(pool.take(), LocalError);
  });
  it('does not lose a place when a connection cannot be made', async () => {
    let fail = true;
    const pool = new ConnectionPool<number>(1, 1_000, () => (fail ? Promise.reject(new LocalError('lost', 'away')) : Promise.resolve(1)), () => undefined, () => false);
    await assert.rejects(pool.take(), /away/);
    fail = false;
    assert.equal(await pool.take(), 1);
  });
});

describe('a transaction that travels', () => {
  const caller = { txnId: newTxnId(), branch: '', coordinator: 'c0' };
  it('is appended to the metadata, which stays as it was', () => {
    const existing = new Metadata();
    existing.add('traceparent', '00-1');
    const out = withTransaction(caller, 1, existing);
    assert.deepEqual([existing.get('assent-txid'), out.get('traceparent'), out.get('assent-branch')], [[], ['00-1'], ['1']]);
    assert.throws(() => withTransaction(caller, 2, out), /there already/);
  });
  it('comes in, and gathers who takes part', () => {
    const incoming = new IncomingTransaction(withTransaction(caller, 3));
    assert.deepEqual(incoming.caller, { ...caller, branch: '3' });
    assert.equal(incoming.enlist({ participant: 'stock', address: 'h:1', payload: 'two' }), '3/stock');
    assert.equal(incoming.metadata().get('assent-branch')[0], '3.1');
    const txn = new Txn(caller.txnId, new Date(), 'c0', () => Promise.reject(new Error('no')));
    assert.equal(txn.collect(incoming.trailer()), 1);
    assert.equal(txn.collect(incoming.trailer()), 1, 'a call that was sent twice is one');
    assert.throws(() => incoming.enlist({ participant: 'stock', address: 'h:2', payload: '' }), /with other content/);
    assert.throws(() => incoming.enlist({ participant: 'large', address: 'h:1', payload: 'x'.repeat(4_097) }), /above the 4096/);
    let warned = '';
    new IncomingTransaction(withTransaction(caller, 4)).trailer(undefined, (message) => (warned = message));
    assert.match(warned, /enlisted nobody/);
  });
  it('may be nonsense from a stranger', () => {
    const metadata = (entries: [string, string][]): Metadata => {
      const out = new Metadata();
      for (const [key, value] of entries) out.add(key, value);
      return out;
    };
    assert.equal(new IncomingTransaction(new Metadata()).caller, undefined);
    for (const bad of [
      [['assent-txid', caller.txnId]],
      [['assent-txid', 'x'], ['assent-branch', '1']],
      [['assent-txid', caller.txnId], ['assent-txid', newTxnId()], ['assent-branch', '1']],
      [['assent-txid', caller.txnId], ['assent-branch', 'n'.repeat(201)]],
    ] as [string, string][][]) {
      assert.throws(() => new IncomingTransaction(metadata(bad)), AssentError);
    }
    assert.throws(() => decodeEnlistment(Buffer.from([255, 255])), /cannot be read/);
    assert.throws(() => encodeEnlistment({ branch: 'b', participant: 'p', address: 'nowhere', payload: Buffer.alloc(0) }), /host:port/);
  });
});

describe('one attempt', () => {
  it('names the branches of its services apart, and refuses what is no service', async () => {
    const txn = new Txn(newTxnId(), new Date(), 'c0', () => Promise.reject(new Error('no')));
    assert.equal(txn.call('stock@h:1', 'a'), 'stock');
    assert.equal(txn.call({ name: 'stock', address: 'h:1' }, 'b'), 'stock.2');
    assert.throws(() => txn.call({ name: 'stock', address: 'h:1', branch: 'stock' }, 'c'), /needs its own/);
    assert.throws(() => txn.call('stock', 'c'), /NAME@HOST:PORT/);
    const intent = await txn.finish();
    assert.ok(intent.writes);
    assert.deepEqual(intent.services.map((one) => [one.name, one.participant]), [['stock', 'stock'], ['stock.2', 'stock']]);
    assert.throws(() => txn.put('s1', 'k', 'v'), /over/);
    await assert.rejects(txn.get('s1', 'k'), /over/);
  });
  it('says how long and how often each service may be asked', async () => {
    const txn = new Txn(newTxnId(), new Date(), 'c0', () => Promise.reject(new Error('no')));
    txn.call({ name: 'stock', address: 'h:1', timeout: 250, maxCalls: 3 }, '');
    txn.call('card@h:2', '');
    const { services } = await txn.finish();
    assert.deepEqual(services.map((one) => [one.timeoutMillis, one.maxCalls]), [[250, 3], [0, 0]]);
  });
  it('has retriable steps at its end, and only in a saga', async () => {
    const make = (mode?: ServiceMode): Txn => new Txn(newTxnId(), new Date(), 'c0', () => Promise.reject(new Error('no')), mode);
    for (const mode of [undefined, 'atomic', 'tcc'] as const) {
      assert.throws(() => make(mode).call({ name: 'mail', address: 'h:1', retriable: true }, ''), /only a saga's steps are/);
    }
    const saga = make('saga');
    saga.call('card@h:1', '');
    saga.call({ name: 'mail', address: 'h:2', retriable: true }, '');
    assert.throws(() => saga.call('late@h:3', ''), /comes first/);
    const { services } = await saga.finish();
    assert.deepEqual(services.map((one) => [one.name, one.retriable]), [['card', false], ['mail', true]]);
  });
});
