import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TxnPhase, TxnSummary } from '../../src/api.js';
import { bounds, column_of, heat_of, micros_of, parse_pick, pick_of, picked, print_pick, row_of, rows } from '../../src/heat.js';
import { id_of, summary } from '../support/fixtures.js';

const phase = (name: string, micros: number): TxnPhase => ({ phase: name, startUnixMicros: '0', durationMicros: String(micros), open: false });
const txn = (number: number, at: number, micros: number, phases: TxnPhase[] = []): TxnSummary =>
  summary(number, 0, { startedUnixMicros: String(at), durationMicros: String(micros), phases });

test('the buckets are those of the metrics: a bound is in its own', () => {
  assert.equal(bounds[0], 250);
  assert.equal(bounds.at(-1), 16_384_000);
  assert.deepEqual([0, 250, 251, 500, 16_384_000, 16_384_001].map(row_of), [0, 0, 1, 1, 16, 17]);
});

test('phases of one name add up; one that was not there is none', () => {
  const one = txn(1, 0, 900, [phase('prepare', 100), phase('prepare', 50)]);
  assert.deepEqual([micros_of(one, 'total'), micros_of(one, 'prepare'), micros_of(one, 'decide')], [900, 150, null]);
});

test('each transaction is counted once in each strip that it has', () => {
  const txns = [txn(1, 1_000, 200, [phase('prepare', 300)]), txn(2, 1_000, 100), txn(3, 1_999, 40_000_000)];
  const heat = heat_of(txns, 10);
  assert.deepEqual(heat.strips.map((strip) => strip.name), ['total', 'prepare']);
  for (const [at, sum] of [[0, 3], [1, 1]] as const) assert.equal(heat.strips[at]?.cells.reduce((a, b) => a + b), sum);
  assert.equal(heat.strips[0]?.cells[0], 2);
  assert.equal(heat.strips[0]?.cells[9 * rows + 17], 1);
  assert.equal(heat.strips[0]?.most, 2);
  assert.deepEqual(heat_of([], 10).strips, []);
  assert.deepEqual([0, 1_000, 1_999, 9_999].map((at) => column_of(heat, at)), [0, 0, 9, 9]);
});

test('a rectangle has what was drawn in it, whichever corner it began at', () => {
  const txns = [txn(1, 1_000, 200), txn(2, 1_500, 3_000), txn(3, 1_999, 40_000_000)];
  const heat = heat_of(txns, 10);
  const all = pick_of(heat, 'total', { column: 9, row: 17 }, { column: 0, row: 0 });
  assert.deepEqual(picked(txns, all).map((one) => one.txn.txnId), [id_of(3), id_of(2), id_of(1)]);
  const some = pick_of(heat, 'total', { column: 0, row: 0 }, { column: 5, row: 4 });
  assert.deepEqual(picked(txns, some).map((one) => one.micros), [3_000, 200]);
  assert.deepEqual(picked(txns, { ...some, low: 1 }).map((one) => one.micros), [3_000]);
  assert.deepEqual(picked(txns, { ...all, strip: 'decide' }), []);
  assert.deepEqual(parse_pick(print_pick(some)), some);
});

test('a url that means no rectangle picks nothing', () => {
  for (const bad of [undefined, '', 'total', 'total,1,2,3', 'total,2,1,0,1', 'total,1,2,5,4', 'total,1,2,0,18', 'other,1,2,0,1', 'total,1,2,0,x', 'total,1,2,0,1,9', 'total,-1,2,0,1', 'total,1,2,0,1e1'])
    assert.equal(parse_pick(bad), null, bad);
});
