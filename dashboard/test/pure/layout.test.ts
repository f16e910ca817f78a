import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as layout from '../../src/waterfall/layout.js';
import { committed, huge, in_doubt, span } from '../support/fixtures.js';

const now = 1_790_000_000_000_000;
const by_id = (fall: layout.Waterfall, id: string) => {
  const row = fall.rows.find((one) => one.span.spanId === id);
  assert.ok(row, id);
  return row;
};

test('rows are the tree, parents before children, depth first', () => {
  const fall = layout.lay_out(committed(1, now), false);
  assert.deepEqual(fall.rows.map((row) => row.span.spanId), ['r', 'e', 'p', 'p1', 'l1', 'w1', 'p2', 'w2', 'd', 'wd', 'c', 'c1', 'c2']);
  assert.deepEqual(fall.rows.map((row) => row.depth), [0, 1, 1, 2, 3, 3, 2, 3, 1, 2, 1, 2, 2]);
  assert.deepEqual(fall.groups, ['c0', 's1', 's2']);
});

test('each span has one row, whatever the parents say', () => {
  const trace = committed(1, now);
  trace.spans = [
    span({ spanId: 'a', parentId: 'b' }), span({ spanId: 'b', parentId: 'a' }), span({ spanId: 'c', parentId: 'c' }),
    span({ spanId: 'd', parentId: 'gone' }), span({ spanId: 'e', parentId: 'd' }), span({ spanId: 'e', parentId: 'e' }),
  ];
  const fall = layout.lay_out(trace, true);
  assert.equal(fall.rows.length, 6);
  assert.equal(new Set(fall.rows.map((row) => row.span)).size, 6);
});

test('ten thousand spans below each other neither overflow the stack nor the page', () => {
  const trace = committed(1, now);
  trace.spans = Array.from({ length: 10_000 }, (_, i) => span({ spanId: `s${i}`, parentId: i === 0 ? '' : `s${i - 1}`, durationMicros: '5' }));
  const fall = layout.lay_out(trace, true);
  assert.equal(fall.rows.length, 10_000);
  assert.ok(Math.max(...fall.rows.map((row) => row.depth)) <= 32);
});

test('raw leaves a span where its node recorded it, aligned moves it and what is below it into its parent', () => {
  const raw = by_id(layout.lay_out(committed(1, now), false), 'w2');
  assert.deepEqual([raw.from, raw.to, raw.shifted], [2_050, 5_250, 0]);
  const aligned = by_id(layout.lay_out(committed(1, now), true), 'w2');
  assert.deepEqual([aligned.from, aligned.to, aligned.shifted], [2_250, 5_450, 200]);
  const trace = committed(1, now);
  trace.spans.push(span({ spanId: 'x', parentId: 'w2', startMicros: '2100', durationMicros: '50' }));
  assert.equal(by_id(layout.lay_out(trace, true), 'x').from, 2_300);
});

test('a span moves as little as it has to', () => {
  assert.equal(layout.shift_into(10, 20, 0, 30), 0);
  assert.equal(layout.shift_into(-5, 5, 0, 30), 5);
  assert.equal(layout.shift_into(25, 35, 0, 30), -5);
  assert.equal(layout.shift_into(10, 60, 0, 30), -10, 'longer than its parent: the starts meet');
});

test('segments of a log entry follow each other inside its bar, in the order in which they happen', () => {
  const row = by_id(layout.lay_out(committed(1, now), false), 'w1');
  assert.deepEqual(row.segments, [
    { kind: 'rest', from: 3_300, to: 3_500 }, { kind: 'queue', from: 3_500, to: 3_800 },
    { kind: 'fsync', from: 3_800, to: 4_700 }, { kind: 'replicate', from: 4_700, to: 5_200 },
  ]);
});

test('segments that add up to more than the bar are cut at its end', () => {
  const long = span({ name: 'raft.propose', queuedMicros: 70, syncedMicros: 70, replicatedMicros: 70 });
  const segments = layout.segments_of(long, 0, 100);
  assert.deepEqual(segments, [{ kind: 'queue', from: 0, to: 70 }, { kind: 'fsync', from: 70, to: 100 }]);
});

test('an entry that goes on has no segments yet', () => {
  assert.deepEqual(by_id(layout.lay_out(in_doubt(3, now), false), 'w').segments, []);
});

test('phases until the answer share it; those behind it have no share', () => {
  const { bands } = layout.lay_out(committed(1, now), false);
  assert.deepEqual(bands.map((band) => band.phase), ['execute', 'prepare', 'decide', 'commit']);
  const shares = bands.slice(0, 3).map((band) => band.share ?? 0);
  assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 0.01);
  assert.equal(bands[3]?.share, null);
});

test('an absent commit point and answer are absent, not at zero', () => {
  const fall = layout.lay_out(in_doubt(3, now), false);
  assert.equal(fall.commit_point, null);
  assert.equal(fall.answered, null);
  assert.equal(fall.end, 42_000_000);
});

test('fit shows all bars, also those that began before the transaction', () => {
  const trace = committed(1, now);
  trace.spans.push(span({ spanId: 'early', parentId: 'r', startMicros: '-400', durationMicros: '100', outsideParent: true }));
  const fall = layout.lay_out(trace, false);
  const range = layout.fit(fall);
  assert.ok(range.from < -400 && range.to > fall.end);
});

test('zooming keeps the moment under the mouse and never leaves the whole', () => {
  const whole = { from: 0, to: 1_000 };
  const near = layout.zoom(whole, 250, 0.5, whole);
  assert.deepEqual(near, { from: 125, to: 625 });
  assert.equal(layout.to_x(250, near, 400), 100);
  assert.deepEqual(layout.zoom(near, 250, 100, whole), whole);
  assert.deepEqual(layout.pan(near, 900, whole), { from: 500, to: 1_000 });
  let range: layout.Range = whole;
  for (let i = 0; i < 100; ++i) range = layout.zoom(range, 300, 0.5, whole);
  assert.ok(range.to - range.from >= 9.99, 'it ends at ten microseconds');
});

test('ticks are round, in the window and not too many', () => {
  assert.deepEqual(layout.ticks({ from: -100, to: 1_000 }, 500), [0, 200, 400, 600, 800, 1_000]);
  for (const to of [1, 13, 999, 1e6, 4.2e7]) {
    const found = layout.ticks({ from: 0, to }, 800);
    assert.ok(found.length >= 2 && found.length <= 10, `${to}: ${found.length}`);
  }
});

test('only the rows that are seen are drawn', () => {
  const fall = layout.lay_out(huge(4, now), false);
  assert.equal(fall.rows.length, 2_000);
  const seen = layout.rows_seen(24_000, 480, fall.rows.length);
  assert.deepEqual(seen, { first: 1_000, last: 1_020 });
  assert.deepEqual(layout.rows_seen(99_999_999, 480, 5), { first: 5, last: 5 });
  assert.equal(layout.row_at(30, 24_000, 2_000), 1_001);
  assert.equal(layout.row_at(30, 0, 1), null);
});

test('laying out 2,000 spans leaves the order alone', () => {
  const fall = layout.lay_out(huge(4, now), false);
  const starts = fall.rows.slice(1).map((row) => row.from);
  assert.deepEqual(starts, starts.slice().sort((a, b) => a - b));
});
