import assert from 'node:assert/strict';
import { test } from 'node:test';
import { error_of, num } from '../../src/api.js';
import { filters_of, is_duration, matches, query_of, values_of } from '../../src/filters.js';
import * as format from '../../src/format.js';
import { merge_newest, percentile, reasons_of, sample_between, spread_of } from '../../src/rates.js';
import { tone_of, tones } from '../../src/states.js';
import { link, parse_view, print_view, with_params } from '../../src/url.js';
import { hostile, id_of, overview, summary } from '../support/fixtures.js';

const now = 1_790_000_000_000_000;

test('durations are read at a glance, without a jump where the unit changes', () => {
  const said: [number, string][] = [
    [0, '0 µs'], [999, '999 µs'], [1_000, '1.0 ms'], [8_149, '8.1 ms'], [99_949, '99.9 ms'], [99_950, '100 ms'], [999_499, '999 ms'],
    [999_500, '1.00 s'], [42_000_000, '42.00 s'], [59_995_000, '1 m 0 s'], [3_599_000_000, '59 m 59 s'], [7_500_000_000, '2 h 5 m'],
    [273_600_000_000, '3 d 4 h'], [-1_500, '−1.5 ms'],
  ];
  for (const [micros, text] of said) assert.equal(format.duration(micros), text);
});

test('counts, shares and sizes', () => {
  assert.equal(format.count(1_234_567), '1,234,567');
  assert.equal(format.percent(42, 100), '42 %');
  assert.equal(format.percent(1, 1_000), '<1 %');
  assert.equal(format.percent(0, 1_000), '0 %');
  assert.equal(format.percent(1, 0), '–');
  assert.equal(format.bytes(1_536), '1.5 KiB');
  assert.equal(format.rate(0.25), '0.3');
  assert.equal(format.iso(Number.NaN), '–');
});

test('a short id keeps the end, which tells two of one second apart', () => {
  assert.notEqual(format.short_id(id_of(1)), format.short_id(id_of(2)));
  assert.ok(format.is_txn_id(id_of(1)));
  for (const text of ['', id_of(1).toUpperCase(), `${id_of(1)}0`, hostile]) assert.ok(!format.is_txn_id(text), text);
});

test('a view survives the url, with whatever a parameter holds', () => {
  const view = parse_view(link('txns', { q: `a&b=c#d ${hostile} 100%`, state: 'ABORTED' }));
  assert.equal(view.page, 'txns');
  assert.equal(view.params['q'], `a&b=c#d ${hostile} 100%`);
  assert.deepEqual(parse_view(print_view(view)), view);
  const one = parse_view(link('txn', { span: 'x' }, 'ab/../c?d'));
  assert.deepEqual([one.page, one.id, one.params['span']], ['txn', 'ab/../c?d', 'x']);
});

test('a broken url is a page that is not there, never an exception', () => {
  for (const hash of ['#/nothing', '#/txn', '#/txn/a/b', '#/txns/x', '#//groups/1']) assert.equal(parse_view(hash).page, 'unknown', hash);
  for (const hash of ['', '#', '#/', '#/?x=1']) assert.equal(parse_view(hash).page, 'overview', hash);
  assert.equal(parse_view('#/txn/%E0%A4%A').id, '%E0%A4%A');
  assert.equal(parse_view('#/txns?__proto__=x&q').params['q'], '');
});

test('changing a parameter keeps the others; an empty one leaves the url', () => {
  const view = with_params(parse_view('#/txns?q=a&state=ABORTED'), { q: '', slower: '1s' });
  assert.equal(print_view(view), '#/txns?slower=1s&state=ABORTED');
});

test('filters: what the nodes filter is asked of them, in their words', () => {
  const filters = filters_of({ state: 'aborted,NONSENSE,preparing', slower: '200ms', q: 'x', cursor: id_of(9) });
  assert.deepEqual(filters.states, ['PREPARING', 'ABORTED']);
  const query = new URLSearchParams(query_of(filters, 100));
  assert.deepEqual([...query], [['limit', '100'], ['state', 'PREPARING,ABORTED'], ['slower_than', '200ms'], ['cursor', id_of(9)]]);
  assert.equal(query_of(filters_of({ slower: 'soon' }), 5), 'limit=5');
  for (const text of ['1', 's', '1.5s', '-1s', '1 s']) assert.ok(!is_duration(text), text);
});

test('filters: the rest narrows down the page', () => {
  const txn = summary(1, now, { reason: 'conflict', message: 'Acct/Alice is held', outcome: 'aborted' });
  const passes = (params: Record<string, string>) => matches(txn, filters_of(params));
  assert.ok(passes({}));
  assert.ok(passes({ q: 'ALICE', participant: 's2', reason: 'conflict', protocol: 'two-phase' }));
  assert.ok(passes({ q: id_of(1).slice(-8) }));
  for (const params of [{ q: 'bob' }, { participant: 's' }, { reason: 'timeout' }, { protocol: 'one-phase' }]) assert.ok(!passes(params), JSON.stringify(params));
  assert.deepEqual(values_of([txn, summary(2, now)], (one) => [one.reason]), ['conflict']);
});

test('an abort that was asked for is not painted as a fault, and every tone has a sign of its own', () => {
  const tone = (over: Partial<Parameters<typeof tone_of>[0]>) => tone_of({ ...summary(1, now), ...over });
  assert.equal(tone({ state: 'ABORTED', reason: 'constraint' }), 'declined');
  assert.equal(tone({ state: 'ABORTED', reason: 'refused' }), 'declined');
  assert.equal(tone({ state: 'ABORTED', reason: 'conflict' }), 'fault');
  assert.equal(tone({ state: 'ABORTED', reason: '' }), 'fault');
  assert.equal(tone({ state: 'PREPARED', durationMicros: '1000000' }), 'doubt');
  assert.equal(tone({ state: 'PREPARED', durationMicros: '900' }), 'live');
  assert.equal(tone({ state: 'ACTIVE' }), 'live');
  assert.equal(tone({ state: 'COMMITTED' }), 'committed');
  assert.equal(tone({ state: 'SOMETHING' }), 'neutral');
  const signs = Object.values(tones).map((one) => one.sign);
  assert.equal(new Set(signs).size, signs.length);
});

test('rates are differences; a process that started again gives none', () => {
  const before = overview(now, 0, 0);
  const after = { ...overview(now + 2_000_000, 0, 0), committed: String(num(before.committed) + 100), aborted: before.aborted };
  assert.deepEqual(sample_between(before, after), { at: now + 2_000_000, commits: 50, aborts: 0, running: 6 });
  assert.equal(sample_between(after, before), null);
  assert.equal(sample_between(before, { ...after, committed: '3' }), null);
  assert.equal(sample_between(before, { ...after, node: 'n2' }), null);
});

test('percentiles are values that occurred', () => {
  assert.equal(percentile([], 0.5), null);
  assert.equal(percentile([7], 0.99), 7);
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2);
  assert.equal(percentile([1, 2, 3, 4], 0.95), 4);
  assert.equal(spread_of([summary(1, now, { answered: false })]), null);
  assert.equal(spread_of([summary(1, now, { durationMicros: '10' }), summary(2, now, { durationMicros: '9' })])?.p50, 9);
});

test('aborts are counted by reason, the commonest first', () => {
  const of = (n: number, reason: string) => summary(n, now, { outcome: 'aborted', reason });
  assert.deepEqual(reasons_of([of(1, 'timeout'), of(2, 'conflict'), of(3, 'conflict'), summary(4, now)]), [
    { reason: 'conflict', n: 2 }, { reason: 'timeout', n: 1 },
  ]);
});

test('what a stream says again replaces what it said before', () => {
  const merged = merge_newest([summary(1, now, { state: 'ACTIVE' }), summary(2, now)], [summary(1, now), summary(0, now)], 2);
  assert.deepEqual(merged.map((txn) => [txn.txnId, txn.state]), [[id_of(0), 'COMMITTED'], [id_of(1), 'COMMITTED']]);
});

test('an error says what the node said, or that it said nothing', () => {
  assert.equal(error_of(404, { error: { code: 'TXN_NOT_RECORDED', message: 'gone' } }).message, 'gone');
  for (const body of [null, {}, { error: 5 }, 'text', { error: { code: 1, message: {} } }]) assert.equal(error_of(502, body).code, 'HTTP_502');
  assert.equal(num('1790000000000000'), now);
  assert.equal(num('x'), 0);
});
