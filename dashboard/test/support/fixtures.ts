// Answers of the api as a node gives them: for the tests and for the mock server. Times are fixed but for `now`.

import type {
  ClusterPage, EventPage, Explanation, Group, GroupPage, LatencyPage, NodeEvent, Overview, Sight, SightPage, TxnPage, TxnPhase, TxnSpan, TxnSummary, TxnTrace,
} from '../../src/api.js';
import { micros_of, row_of, rows, strip_names } from '../../src/heat.js';

export const hostile = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';

const ms = 1_000;

export function id_of(number: number): string {
  return `0193a6b2${number.toString(16).padStart(4, '0')}7c3fa1d0c9be${number.toString(16).padStart(8, '0')}`;
}

export function summary(number: number, now: number, over: Partial<TxnSummary> = {}): TxnSummary {
  return {
    txnId: id_of(number), state: 'COMMITTED', protocol: 'two-phase', coordinator: 'c0', node: 'n1',
    participants: ['s1', 's2'], startedUnixMicros: String(now - number * 700 * ms), durationMicros: String(4_000 + ((number * 7_919) % 97) * 180),
    answered: true, outcome: 'committed', reason: '', refusedBy: '', message: '', recovered: false, repeats: 0, mode: '', phases: [], ...over,
  };
}

// Where the time of a commit by two-phase went, in fixed parts of it.
function with_phases(txn: TxnSummary): TxnSummary {
  const total = Number(txn.durationMicros);
  if (txn.protocol !== 'two-phase' || txn.state !== 'COMMITTED') return txn;
  const parts: [string, number, number][] = [['execute', 0, 0.2], ['prepare', 0.2, 0.5], ['decide', 0.7, 0.3], ['commit', 1, 0.4]];
  const start = Number(txn.startedUnixMicros);
  return { ...txn, phases: phases(start, parts.map(([name, from, share]) => [name, Math.round(from * total), Math.round(share * total)])) };
}

export function span(over: Partial<TxnSpan>): TxnSpan {
  return {
    spanId: '1', parentId: '', name: 'assent.transaction', group: 'c0', node: 'n1', startMicros: '0', durationMicros: '0', open: false,
    verdict: '', repeats: 0, index: '0', queuedMicros: 0, syncedMicros: 0, replicatedMicros: 0, outsideParent: false, critical: false, ...over,
  };
}

function phases(start: number, parts: [string, number, number, boolean?][]): TxnPhase[] {
  return parts.map(([phase, from, micros, open]) => ({
    phase, startUnixMicros: String(start + from), durationMicros: String(micros), open: open ?? false,
  }));
}

function trace(txn: TxnSummary, now: number, over: Partial<TxnTrace>): TxnTrace {
  return {
    summary: txn, traceId: txn.txnId, phases: [], spans: [], totalMicros: txn.durationMicros, delayedBy: '', why: '',
    asOfUnixMicros: String(now), unreachable: [], stepsLost: '0', ...over,
  };
}

// A transfer between two shards: s2's clock is ahead, so that its entry seems to begin before it was asked.
export function committed(number: number, now: number): TxnTrace {
  const txn = summary(number, now, { durationMicros: '8100' });
  const start = Number(txn.startedUnixMicros);
  return trace(txn, now, {
    commitPointMicros: '6900', answeredMicros: '8100', totalMicros: '8100', delayedBy: 's2',
    why: '42 % of 8.1 ms went into prepare; s2 was waited for longest: 2.4 ms its disk took to sync',
    phases: phases(start, [['execute', 0, 2_200], ['prepare', 2_200, 3_400], ['decide', 5_600, 2_500], ['commit', 8_100, 2_900]]),
    spans: [
      span({ spanId: 'r', durationMicros: '11000', critical: true }),
      span({ spanId: 'e', parentId: 'r', name: 'assent.execute', durationMicros: '2200', critical: true }),
      span({ spanId: 'p', parentId: 'r', name: 'assent.prepare', startMicros: '2200', durationMicros: '3400', critical: true }),
      span({ spanId: 'p1', parentId: 'p', name: 'assent.v1.Participant/Prepare', group: 's1', startMicros: '2250', durationMicros: '3100', verdict: 'yes' }),
      span({ spanId: 'l1', parentId: 'p1', name: 'assent.lock', group: 's1', node: 'n2', startMicros: '2350', durationMicros: '900' }),
      span({ spanId: 'w1', parentId: 'p1', name: 'raft.propose', group: 's1', node: 'n2', startMicros: '3300', durationMicros: '1900', index: '402117', queuedMicros: 300, syncedMicros: 900, replicatedMicros: 500 }),
      span({ spanId: 'p2', parentId: 'p', name: 'assent.v1.Participant/Prepare', group: 's2', startMicros: '2250', durationMicros: '3350', verdict: 'yes', repeats: 1, critical: true }),
      span({ spanId: 'w2', parentId: 'p2', name: 'raft.propose', group: 's2', node: 'n3', startMicros: '2050', durationMicros: '3200', index: '88003', queuedMicros: 200, syncedMicros: 2_400, replicatedMicros: 600, critical: true, outsideParent: true }),
      span({ spanId: 'd', parentId: 'r', name: 'assent.decide', startMicros: '5600', durationMicros: '2500', critical: true }),
      span({ spanId: 'wd', parentId: 'd', name: 'raft.propose', startMicros: '5650', durationMicros: '1250', index: '128930', queuedMicros: 100, syncedMicros: 700, replicatedMicros: 450, critical: true }),
      span({ spanId: 'c', parentId: 'r', name: 'assent.commit', startMicros: '8100', durationMicros: '2900' }),
      span({ spanId: 'c1', parentId: 'c', name: 'assent.v1.Participant/Commit', group: 's1', startMicros: '8150', durationMicros: '2100', verdict: 'commit' }),
      span({ spanId: 'c2', parentId: 'c', name: 'assent.v1.Participant/Commit', group: 's2', startMicros: '8150', durationMicros: '2800', verdict: 'commit' }),
    ],
  });
}

export function aborted(number: number, now: number): TxnTrace {
  const txn = summary(number, now, {
    state: 'ABORTED', outcome: 'aborted', reason: 'conflict', refusedBy: 's1', message: `acct/${hostile} is held`, durationMicros: '5200',
  });
  const start = Number(txn.startedUnixMicros);
  return trace(txn, now, {
    answeredMicros: '5200', delayedBy: 's1', why: `aborted by s1 (conflict): acct/${hostile} is held`,
    phases: phases(start, [['execute', 0, 1_900], ['prepare', 1_900, 3_300], ['abort', 5_200, 1_200]]),
    spans: [
      span({ spanId: 'r', durationMicros: '6400' }),
      span({ spanId: 'p', parentId: 'r', name: 'assent.prepare', startMicros: '1900', durationMicros: '3300' }),
      span({ spanId: 'p1', parentId: 'p', name: `assent.v1.Participant/${hostile}`, group: 's1', startMicros: '1950', durationMicros: '3200', verdict: 'no' }),
      span({ spanId: 'l1', parentId: 'p1', name: 'assent.lock', group: 's1', startMicros: '2100', durationMicros: '2900' }),
    ],
  });
}

export function in_doubt(number: number, now: number): TxnTrace {
  const txn = summary(number, now, { state: 'PREPARED', outcome: '', answered: false, startedUnixMicros: String(now - 42_000 * ms), durationMicros: String(42_000 * ms) });
  return trace(txn, now, {
    why: 'an entry waits since 41998.0 ms for a majority of c0', unreachable: [{ node: 'n3', why: 'no answer in 500 ms' }],
    phases: phases(Number(txn.startedUnixMicros), [['execute', 0, 900], ['prepare', 900, 1_100], ['decide', 2_000, 41_998 * ms, true]]),
    spans: [
      span({ spanId: 'r', durationMicros: String(42_000 * ms), open: true }),
      span({ spanId: 'd', parentId: 'r', name: 'assent.decide', startMicros: '2000', durationMicros: String(41_998 * ms), open: true, critical: true }),
      span({ spanId: 'w', parentId: 'd', name: 'raft.propose', startMicros: '2010', durationMicros: String(41_997 * ms), open: true, critical: true }),
    ],
  });
}

export function huge(number: number, now: number, spans = 2_000): TxnTrace {
  const txn = summary(number, now, { participants: Array.from({ length: 12 }, (_, i) => `s${i + 1}`), durationMicros: '900000' });
  const rows = [span({ spanId: 'r', durationMicros: '900000', critical: true })];
  for (let i = 1; i < spans; ++i) {
    const group = `s${1 + (i % 12)}`;
    rows.push(
      i % 2 === 1
        ? span({ spanId: `p${i}`, parentId: 'r', name: 'assent.v1.Participant/Prepare', group, startMicros: String(i * 400), durationMicros: '9000' })
        : span({ spanId: `w${i}`, parentId: `p${i - 1}`, name: 'raft.propose', group, startMicros: String(i * 400 + 200), durationMicros: '6000', index: String(i), queuedMicros: 500, syncedMicros: 3_000, replicatedMicros: 2_000 }),
    );
  }
  return trace(txn, now, {
    spans: rows, answeredMicros: '900000', commitPointMicros: '880000', why: '97 % of 900.0 ms went into prepare',
    phases: phases(Number(txn.startedUnixMicros), [['execute', 0, 20_000], ['prepare', 20_000, 860_000], ['decide', 880_000, 20_000]]),
  });
}

export const known = { committed: 1, aborted: 2, in_doubt: 3, huge: 4 };

export function trace_of(id: string, now: number): TxnTrace | null {
  if (id === id_of(known.committed)) return committed(known.committed, now);
  if (id === id_of(known.aborted)) return aborted(known.aborted, now);
  if (id === id_of(known.in_doubt)) return in_doubt(known.in_doubt, now);
  if (id === id_of(known.huge)) return huge(known.huge, now);
  return null;
}

export function all_txns(now: number): TxnSummary[] {
  const first = [committed(1, now), aborted(2, now), in_doubt(3, now), huge(4, now)].map((one) => one.summary);
  const rest = Array.from({ length: 150 }, (_, i) => {
    const number = i + 5;
    if (number % 11 === 0) return summary(number, now, { state: 'ABORTED', outcome: 'aborted', reason: 'constraint', refusedBy: 's1', message: 'acct/alice would fall below 0' });
    if (number % 17 === 0) return summary(number, now, { state: 'ABORTED', outcome: 'aborted', reason: 'timeout', durationMicros: '2000000' });
    return summary(number, now, number % 3 === 0 ? { participants: ['s1'], protocol: 'one-phase', coordinator: 's1', node: 'n2' } : {});
  });
  return [...first, ...rest];
}

// As a node counts them.
export function latency(query: URLSearchParams, now: number): LatencyPage {
  const columns = Number(query.get('columns') ?? 60);
  const length = { '1m': 60, '10m': 600, '1h': 3_600, '6h': 21_600 }[query.get('window') ?? '1m'] ?? 60;
  const from = Number(query.get('from') ?? now - length * 1_000 * ms);
  const to = Number(query.get('to') ?? now);
  const width = Math.max(1, Math.ceil((to - from) / columns));
  const strips = strip_names.map((name) => ({ name: name as string, counts: new Array<number>(columns * rows).fill(0) }));
  let transactions = 0;
  for (const txn of all_txns(now).map(with_phases)) {
    const column = Math.floor((Number(txn.startedUnixMicros) - from) / width);
    if (column < 0 || column >= columns) continue;
    transactions += 1;
    strip_names.forEach((name, i) => {
      const micros = micros_of(txn, name);
      const counts = strips[i]?.counts;
      if (micros !== null && counts) counts[column * rows + row_of(micros)] = (counts[column * rows + row_of(micros)] ?? 0) + 1;
    });
  }
  return {
    fromUnixMicros: String(from), columnMicros: String(width), columns, rows, strips: strips.filter((one) => one.counts.some((count) => count > 0)),
    transactions: String(transactions), asOfUnixMicros: String(now), unreachable: [],
  };
}

function in_rectangle(txn: TxnSummary, query: URLSearchParams): boolean {
  const number = (name: string, otherwise: number) => Number(query.get(name) ?? otherwise);
  const by = strip_names.find((name) => name === query.get('by')) ?? 'total';
  const micros = micros_of(with_phases(txn), by);
  const at = Number(txn.startedUnixMicros);
  if (micros === null || at < number('started_from', 0) || at >= number('started_to', Number.MAX_SAFE_INTEGER)) return false;
  return micros > number('over', -1) && micros <= number('upto', Number.MAX_SAFE_INTEGER);
}

// As the api does it: states, least duration, a rectangle of the heat map, a cursor that is the last id of the page before.
export function page(query: URLSearchParams, now: number): TxnPage {
  const states = (query.get('state') ?? '').split(',').filter((state) => state !== '');
  const slower = /^(\d+)(ms|s)$/.exec(query.get('slower_than') ?? '');
  const least = slower ? Number(slower[1]) * (slower[2] === 's' ? 1_000_000 : 1_000) : 0;
  const passing = all_txns(now).filter((txn) => (states.length === 0 || states.includes(txn.state)) && Number(txn.durationMicros) >= least && in_rectangle(txn, query));
  const limit = Number(query.get('limit') ?? 50);
  const cursor = query.get('cursor') ?? '';
  const from = cursor === '' ? 0 : passing.findIndex((txn) => txn.txnId === cursor) + 1;
  const some = passing.slice(from, from + limit);
  const txns = query.get('phases') === 'true' ? some.map(with_phases) : some;
  const more = from + limit < passing.length;
  return { txns, nextCursor: more ? (txns.at(-1)?.txnId ?? '') : '', asOfUnixMicros: String(now), unreachable: [] };
}

function group(name: string, role: string, leader: string, down: string, health: string): Group {
  const members = ['n1', 'n2', 'n3'].map((node) => ({
    node, leads: node === leader, up: node !== down, appliedIndex: '128930', lagEntries: name === 's1' && node === 'n3' ? '412' : '0',
  }));
  return { group: name, role, leader, epoch: '4', committedIndex: '128931', prepared: name === 'c0' ? '0' : '1', locks: '2', active: '3', members, health };
}

export function groups(now: number): GroupPage {
  return {
    groups: [group('c0', 'coordinator', 'n1', '', 'ok'), group('s1', 'shard', 'n2', '', 'ok'), group('s2', 'shard', 'n2', 'n3', 'degraded: 2/3')],
    asOfUnixMicros: String(now), unreachable: [],
  };
}

export function cluster(now: number): ClusterPage {
  const nodes = ['n1', 'n2', 'n3'].map((node) => ({
    node, version: '0.1.0', counters: { walSyncs: '190213', walBytes: '92384723', cpuMicros: '918273', residentBytes: '73400320' },
    peers: ['n1', 'n2', 'n3'].filter((peer) => peer !== node).map((peer) => ({
      node: peer, up: !(node === 'n1' && peer === 'n3'), roundTripMicros: node === 'n2' && peer === 'n3' ? '61000' : '420', ageMillis: '300',
    })),
  }));
  return { nodes, asOfUnixMicros: String(now), unreachable: [] };
}

export function events(now: number): NodeEvent[] {
  const one = (number: number, node: string, kind: string, name: string, text: string): NodeEvent => ({
    number: String(number), node, unixMicros: String(now - number * 9_000 * ms), kind, group: name, text,
  });
  return [
    one(1, 'n1', 'leader', 'c0', 'leads c0 in term 4'), one(2, 'n3', 'leader_lost', 's2', `lost the lead of s2 ${hostile}`),
    one(3, 'n2', 'snapshot', 's1', 'took a snapshot at 400000'), one(4, 'n1', 'started', '', 'started, version 0.1.0'),
  ];
}
export function event_page(now: number): EventPage {
  return { events: events(now), asOfUnixMicros: String(now), unreachable: [] };
}

export function sight(number: number, over: Partial<Sight> = {}): Sight {
  return {
    txnId: id_of(number), stage: 'waiting', commit: false, coordinator: 'c0', participants: ['s1', 's2'], missing: [], waitsFor: [],
    blocks: [], queriesBlocked: '0', locks: '0', millis: '300', troubles: [], wantedKeys: [], contestedKeys: [], ...over,
  };
}

// 3 is in doubt; 7 and 8 wait for it, and 9 for 7 and 8.
export function locks(now: number): SightPage {
  const sights = [
    { group: 's1', sight: sight(3, { stage: 'in-doubt', locks: '1', millis: '41000', blocks: [id_of(7), id_of(8)], queriesBlocked: '2', contestedKeys: ["accounts('alice')", hostile] }) },
    { group: 's1', sight: sight(7, { waitsFor: [id_of(3)], leftMillis: '1700', wantedKeys: ["accounts('alice')", hostile] }) },
    { group: 's1', sight: sight(8, { waitsFor: [id_of(3)], wantedKeys: ["accounts('alice')"] }) },
    { group: 's2', sight: sight(7, { stage: 'in-doubt', locks: '1', millis: '250', blocks: [id_of(9)] }) },
    { group: 's2', sight: sight(9, { waitsFor: [id_of(7), id_of(8)], millis: '120' }) },
  ];
  return { sights, asOfUnixMicros: String(now), unreachable: [] };
}

export function explain(id: string, now: number): Explanation | null {
  const found = trace_of(id, now);
  if (found === null) return null;
  const seen = sight(0, {
    txnId: id, stage: 'in-doubt', missing: ['c0'], blocks: [id_of(7), id_of(8)], queriesBlocked: '2', locks: '1', millis: '41000',
    leftMillis: '400',
  });
  const open = found.summary.outcome === '';
  return {
    txnId: id, why: open ? 'no decision can be read: c0 has no leader; 1 of its 3 members answers, 2 are needed' : found.why,
    sights: open ? [{ group: 's1', sight: seen }, { group: 's2', sight: { ...seen, blocks: [] } }] : [],
    recorded: found.summary, asOfUnixMicros: String(now), unreachable: [],
  };
}

export function overview(now: number, seconds: number, behind: number): Overview {
  const committed_until = 1_000 + seconds * 180 + Math.round(40 * Math.sin(seconds / 3));
  return {
    node: 'n1', asOfUnixMicros: String(now), started: String(committed_until + 60), committed: String(committed_until),
    aborted: String(40 + seconds * 3), running: '6', inDoubt: '1', inDoubtOldestMillis: '42000', newest: all_txns(now).slice(0, 50),
    events: events(now).filter((event) => Number(event.number) > behind && event.node === 'n1'),
  };
}
