import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sight, SightPage } from '../../src/api.js';
import { chains, hot_keys } from '../../src/contention.js';
import { hostile, id_of, locks, sight } from '../support/fixtures.js';

const page = (sights: { group: string; sight?: Sight }[]): SightPage => ({ sights, asOfUnixMicros: '0', unreachable: [] });
const drawn = (given: SightPage) => chains(given).map((one) => [one.depth, one.id, one.group, one.waiters, one.again]);

test('a chain begins with who waits for nobody, and what stands twice is opened once', () => {
  assert.deepEqual(drawn(locks(0)), [
    [0, id_of(3), 's1', 3, false],
    [1, id_of(7), 's1', 1, false],
    [2, id_of(9), 's2', 0, false],
    [1, id_of(8), 's1', 1, false],
    [2, id_of(9), 's2', 0, true],
  ]);
  assert.deepEqual(chains(locks(0)).map((one) => one.queries), [2, 0, 0, 0, 0]);
});

test('keys are counted by who waits for them, in each group by itself', () => {
  assert.deepEqual(hot_keys(locks(0), 9), [
    { group: 's1', key: "accounts('alice')", waiters: 2, holders: 1 },
    { group: 's1', key: hostile, waiters: 1, holders: 1 },
  ]);
  assert.deepEqual(hot_keys(locks(0), 1).length, 1);
  const twice = page([{ group: 's1', sight: sight(1, { wantedKeys: ['a', 'a'] }) }, { group: 's2', sight: sight(1, { wantedKeys: ['a'] }) }, { group: 's1' }]);
  assert.deepEqual(hot_keys(twice, 9).map((one) => [one.group, one.waiters]), [['s1', 1], ['s2', 1]]);
});

test('one side is enough: a holder that nobody reports, a waiter that is only named', () => {
  assert.deepEqual(drawn(page([{ group: 's1', sight: sight(2, { waitsFor: [id_of(1)] }) }])), [
    [0, id_of(1), '', 1, false],
    [1, id_of(2), 's1', 0, false],
  ]);
  const named = chains(page([{ group: 's1', sight: sight(1, { blocks: [id_of(2)] }) }]));
  assert.deepEqual(named.map((one) => [one.depth, one.id, one.sight?.txnId]), [[0, id_of(1), id_of(1)], [1, id_of(2), undefined]]);
});

test('the heaviest comes first; who neither waits nor blocks does not come; queries count', () => {
  const given = page([
    { group: 's1', sight: sight(1, { blocks: [id_of(11)] }) },
    { group: 's1', sight: sight(2, { blocks: [id_of(12), id_of(13)] }) },
    { group: 's1', sight: sight(3) },
    { group: 's1', sight: sight(4, { queriesBlocked: '5' }) },
    { group: 's1' },
  ]);
  assert.deepEqual(chains(given).filter((one) => one.depth === 0).map((one) => one.id), [id_of(2), id_of(1), id_of(4)]);
});

test('a ring ends where it comes round', () => {
  const ring = page([1, 2, 3].map((number) => ({ group: 's1', sight: sight(number, { waitsFor: [id_of((number % 3) + 1)] }) })));
  const found = drawn(ring);
  assert.equal(found.length, 4);
  assert.deepEqual(found.map(([depth]) => depth), [0, 1, 2, 3]);
  assert.equal(found[3]?.[1], found[0]?.[1]);
  assert.equal(found[3]?.[4], true);
  assert.deepEqual(drawn(page([{ group: 's1', sight: sight(1, { waitsFor: [id_of(1)] }) }])), []);
});
