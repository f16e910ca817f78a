import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LatencyPage, TxnPhase, TxnSummary } from '../../src/api.js';
import { all_time, bounds, heat_of, micros_of, parse_pick, pick_of, print_pick, query_of, row_of, rows, slowest } from '../../src/heat.js';
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

const counted = (over: Partial<LatencyPage> = {}): LatencyPage => ({
  fromUnixMicros: '1000', columnMicros: '100', columns: 10, rows, strips: [], transactions: '0', asOfUnixMicros: '0', unreachable: [], ...over,
});

test('what the nodes counted is drawn in the order of the phases, and what does not fit is left out', () => {
  const cells = new Array<number>(10 * rows).fill(0);
  cells[9 * rows + 17] = 3;
  const heat = heat_of(counted({ strips: [{ name: 'prepare', counts: cells }, { name: 'total', counts: cells }, { name: 'execute', counts: [1] }, { name: 'other', counts: cells }] }));
  assert.deepEqual(heat.strips.map((strip) => [strip.name, strip.most]), [['total', 3], ['prepare', 3]]);
  assert.deepEqual([heat.from, heat.width, heat.columns], [1_000, 100, 10]);
  assert.deepEqual(heat_of(counted({ rows: rows + 1, strips: [{ name: 'total', counts: cells }] })).strips, []);
  assert.deepEqual(heat_of(counted({ columns: 1e9 })).columns, 1_000);
});

test('a rectangle asks for what was drawn, whichever corner it began at', () => {
  const heat = heat_of(counted());
  const all = pick_of(heat, 'total', { column: 9, row: 17 }, { column: 0, row: 0 });
  assert.equal(query_of(all, 200), 'limit=200&phases=true&by=total&started_from=1000&started_to=2000');
  const some = pick_of(heat, 'prepare', { column: 0, row: 1 }, { column: 5, row: 4 });
  assert.equal(query_of(some, 9), 'limit=9&phases=true&by=prepare&started_from=1000&started_to=1600&over=250&upto=4000');
  assert.equal(query_of({ ...some, ...all_time }, 9), 'limit=9&phases=true&by=prepare&over=250&upto=4000');
  assert.deepEqual(parse_pick(print_pick(some)), some);
  assert.deepEqual(parse_pick(print_pick({ ...some, ...all_time })), { ...some, ...all_time });
});

test('the slowest come first', () => {
  const txns = [txn(1, 1_000, 200), txn(2, 1_500, 3_000, [phase('prepare', 7)]), txn(3, 1_999, 40_000_000)];
  assert.deepEqual(slowest(txns, 'total').map((one) => one.txn.txnId), [id_of(3), id_of(2), id_of(1)]);
  assert.deepEqual(slowest(txns, 'prepare').map((one) => one.micros), [7, 0, 0]);
});

test('a url that means no rectangle picks nothing', () => {
  for (const bad of [undefined, '', 'total', 'total,1,2,3', 'total,2,1,0,1', 'total,1,2,5,4', 'total,1,2,0,18', 'other,1,2,0,1', 'total,1,2,0,x', 'total,1,2,0,1,9', 'total,-1,2,0,1', 'total,1,2,0,1e1'])
    assert.equal(parse_pick(bad), null, bad);
});
