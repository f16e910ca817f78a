// Who blocks whom, of what the leaders of groups see: chains that begin with those that wait for nobody. Pure.
//
// A transaction that waits for several stands below each of them; what waits for it in turn stands below the first. A
// ring, which locks never make but views of several moments may, begins somewhere and ends where it comes round.

import { num, type Sight, type SightPage } from './api.js';

export interface Link {
  id: string;
  depth: number;
  group: string; // where it waits for the one above; of the first of a chain, where it holds what others want
  sight: Sight | null; // there; null: the leader of that group tells of it only by whom it blocks
  again: boolean; // stands above with all that waits for it
  waiters: number; // that wait for it, and for these in turn
  queries: number; // that wait for it
}

interface Knot {
  sights: Map<string, Sight>; // by group
  waiters: Map<string, Set<string>>; // and the groups in which they wait
  waits: boolean;
}

function knots_of(page: SightPage): Map<string, Knot> {
  const knots = new Map<string, Knot>();
  const knot = (id: string): Knot => {
    const made = knots.get(id) ?? { sights: new Map(), waiters: new Map(), waits: false };
    knots.set(id, made);
    return made;
  };
  const tie = (holder: string, waiter: string, group: string) => {
    if (holder === waiter) return;
    const groups = knot(holder).waiters.get(waiter) ?? new Set<string>();
    knot(holder).waiters.set(waiter, groups.add(group));
    knot(waiter).waits = true;
  };
  for (const { group, sight } of page.sights) {
    if (!sight) continue;
    knot(sight.txnId).sights.set(group, sight);
    for (const holder of sight.waitsFor) tie(holder, sight.txnId, group);
    for (const waiter of sight.blocks) tie(sight.txnId, waiter, group);
  }
  return knots;
}

export interface HotKey {
  group: string;
  key: string;
  waiters: number; // transactions that wait for it, as far as their leaders name what they wait for
  holders: number;
}

// Those that most wait for come first. A leader names some keys of each transaction, so these are at least so many.
export function hot_keys(page: SightPage, most: number): HotKey[] {
  const found = new Map<string, HotKey>();
  const at = (group: string, key: string): HotKey => {
    const id = JSON.stringify([group, key]);
    const made = found.get(id) ?? { group, key, waiters: 0, holders: 0 };
    found.set(id, made);
    return made;
  };
  for (const { group, sight } of page.sights) {
    for (const key of new Set(sight?.wantedKeys ?? [])) at(group, key).waiters += 1;
    for (const key of new Set(sight?.contestedKeys ?? [])) at(group, key).holders += 1;
  }
  return [...found.values()]
    .sort((a, b) => b.waiters - a.waiters || a.group.localeCompare(b.group) || a.key.localeCompare(b.key))
    .slice(0, most);
}

function all_behind(knots: ReadonlyMap<string, Knot>, id: string): Set<string> {
  const behind = new Set<string>();
  const next = [id];
  for (let at = next.pop(); at !== undefined; at = next.pop()) {
    for (const waiter of knots.get(at)?.waiters.keys() ?? []) {
      if (waiter === id || behind.has(waiter)) continue;
      behind.add(waiter);
      next.push(waiter);
    }
  }
  return behind;
}

export function chains(page: SightPage): Link[] {
  const knots = knots_of(page);
  const links: Link[] = [];
  const shown = new Set<string>();
  const sizes = new Map([...knots.keys()].map((id) => [id, all_behind(knots, id).size]));
  const size = (id: string) => sizes.get(id) ?? 0;
  const queries = (id: string) => [...(knots.get(id)?.sights.values() ?? [])].reduce((sum, one) => sum + num(one.queriesBlocked), 0);
  const add = (id: string, group: string, depth: number) => {
    const knot = knots.get(id);
    const again = shown.has(id);
    shown.add(id);
    links.push({ id, depth, group, sight: knot?.sights.get(group) ?? null, again, waiters: size(id), queries: queries(id) });
    if (again || !knot) return;
    const waiters = [...knot.waiters].sort(([a], [b]) => size(b) - size(a) || a.localeCompare(b));
    for (const [waiter, groups] of waiters) add(waiter, [...groups].sort().join(', '), depth + 1);
  };
  const begin = (id: string) => {
    const knot = knots.get(id);
    const where = [...(knot?.sights ?? [])].filter(([, one]) => one.blocks.length > 0 || num(one.queriesBlocked) > 0).map(([group]) => group);
    add(id, where.sort()[0] ?? [...(knot?.sights.keys() ?? [])].sort()[0] ?? '', 0);
  };
  const heaviest = [...knots.keys()].sort((a, b) => size(b) - size(a) || queries(b) - queries(a) || a.localeCompare(b));
  for (const id of heaviest) {
    if (!knots.get(id)?.waits && (size(id) > 0 || queries(id) > 0)) begin(id);
  }
  for (const id of heaviest) {
    if (!shown.has(id) && size(id) > 0) begin(id); // a ring: nobody in it waits for nobody
  }
  return links;
}
