// The messages of txn_proto/assent/v1/observe.proto as JSON: 64-bit integers are strings, what is unset in an optional
// field or message is absent. Nothing here draws; everything here is data that a node sent and is never trusted as HTML.

import { read_token } from './token.js';

export type Int64 = string;

export interface Unreachable {
  node: string;
  why: string;
}
export interface TxnSummary {
  txnId: string;
  state: string;
  protocol: string;
  coordinator: string;
  node: string;
  participants: string[];
  startedUnixMicros: Int64;
  durationMicros: Int64;
  answered: boolean;
  outcome: string;
  reason: string;
  refusedBy: string;
  message: string;
  recovered: boolean;
  repeats: number;
  mode: string; // tcc saga concurrent-saga, or empty
  phases: TxnPhase[]; // when they were asked for, where the client was answered
}
export interface TxnPhase {
  phase: string;
  startUnixMicros: Int64;
  durationMicros: Int64;
  open: boolean;
}
export interface TxnSpan {
  spanId: string;
  parentId: string;
  name: string;
  group: string;
  node: string;
  startMicros: Int64;
  durationMicros: Int64;
  open: boolean;
  verdict: string;
  repeats: number;
  index: Int64;
  queuedMicros: number;
  syncedMicros: number;
  replicatedMicros: number;
  outsideParent: boolean;
  critical: boolean;
}
export interface TxnTrace {
  summary: TxnSummary;
  traceId: string;
  phases: TxnPhase[];
  spans: TxnSpan[];
  commitPointMicros?: Int64;
  answeredMicros?: Int64;
  totalMicros: Int64;
  delayedBy: string;
  why: string;
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
  stepsLost: Int64;
}
export interface TxnPage {
  txns: TxnSummary[];
  nextCursor: string;
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
}
export interface NodeEvent {
  number: Int64;
  node: string;
  unixMicros: Int64;
  kind: string;
  group: string;
  text: string;
}
export interface EventPage {
  events: NodeEvent[];
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
}
export interface GroupMember {
  node: string;
  leads: boolean;
  up: boolean;
  appliedIndex: Int64;
  lagEntries: Int64;
}
export interface Group {
  group: string;
  role: string;
  leader: string;
  epoch: Int64;
  committedIndex: Int64;
  prepared: Int64;
  locks: Int64;
  active: Int64;
  members: GroupMember[];
  health: string;
}
export interface GroupPage {
  groups: Group[];
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
}
export interface ClusterNode {
  node: string;
  version: string;
  counters?: { walSyncs: Int64; walBytes: Int64; cpuMicros: Int64; residentBytes: Int64 };
  peers: PeerLatency[]; // of this node to each other one
}
export interface PeerLatency {
  node: string;
  up: boolean;
  roundTripMicros: Int64; // 0: none came back yet
  ageMillis: Int64;
}
export interface ClusterPage {
  nodes: ClusterNode[];
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
}
export interface Sight {
  txnId: string;
  stage: string;
  commit: boolean;
  coordinator: string;
  participants: string[];
  missing: string[];
  waitsFor: string[];
  blocks: string[];
  queriesBlocked: Int64;
  locks: Int64;
  millis: Int64;
  leftMillis?: Int64;
  heuristic?: { commit: boolean; atMillis: Int64; reason: string };
  troubles: string[];
  wantedKeys: string[]; // some of what it waits for, and of what it keeps from others
  contestedKeys: string[];
}
// How many transactions took how long, by when they began: counts[column * rows + row] of each strip.
export interface LatencyPage {
  fromUnixMicros: Int64;
  columnMicros: Int64;
  columns: number;
  rows: number;
  strips: { name: string; counts: number[] }[];
  transactions: Int64;
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
}
// What leaders see that waits for locks, or keeps others waiting.
export interface SightPage {
  sights: { group: string; sight?: Sight }[];
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
}
export interface Explanation {
  txnId: string;
  why: string;
  sights: { group: string; sight?: Sight }[];
  recorded?: TxnSummary;
  asOfUnixMicros: Int64;
  unreachable: Unreachable[];
}
export interface Overview {
  node: string;
  asOfUnixMicros: Int64;
  started: Int64;
  committed: Int64;
  aborted: Int64;
  running: Int64;
  inDoubt: Int64;
  inDoubtOldestMillis: Int64;
  newest: TxnSummary[];
  events: NodeEvent[];
}

// Of assentd dev alone.
export interface DevNode {
  name: string;
  running: boolean;
  cut: string[];
  syncDelayMillis: number;
  client: string;
  http: string;
  log: string;
}
export interface DevBank {
  running: boolean;
  ready: boolean;
  committed: Int64;
  aborted: Int64;
  unknown: Int64;
  expected: Int64;
  sum?: Int64;
  counts: Int64;
  wrongCounts: Int64;
  countedUnixMicros: Int64;
  trouble: string;
  balances: { account: string; balance: Int64 }[];
}
export interface DevState {
  nodes: DevNode[];
  bank: DevBank;
}

// Microseconds since 1970 stay below 2^53 until the year 2255, so a number holds every value that is drawn.
export function num(text: Int64 | number | undefined): number {
  const value = Number(text ?? 0);
  return Number.isFinite(value) ? value : 0;
}

// What a node said instead of an answer, or that it said nothing.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export function error_of(status: number, body: unknown): ApiError {
  const fields = (body as { error?: { code?: unknown; message?: unknown } } | null)?.error;
  const code = typeof fields?.code === 'string' ? fields.code : `HTTP_${status}`;
  const message = typeof fields?.message === 'string' ? fields.message : `the node answered with status ${status}`;
  return new ApiError(status, code, message);
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return ask<T>(path, { headers: { Accept: 'application/json' }, signal: signal ?? null });
}

// Does something, with the token of this tab.
export function post<T>(path: string, body: unknown): Promise<T> {
  return ask<T>(path, {
    method: 'POST',
    headers: { Accept: 'application/json', 'Content-Type': 'application/json', Authorization: `Bearer ${read_token()}` },
    body: JSON.stringify(body),
  });
}

async function ask<T>(path: string, options: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`./api/v1/${path}`, options);
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === 'AbortError') throw failure;
    throw new ApiError(0, 'UNREACHABLE', 'the node does not answer; is assentd running, and is this its http port?');
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw error_of(response.status, body);
  if (body === null) throw new ApiError(response.status, 'MALFORMED', 'the answer is not JSON');
  return body as T;
}

export const paths = {
  locks: 'locks',
  latency: (query: string) => `latency?${query}`,
  txns: (query: string) => `txns${query === '' ? '' : `?${query}`}`,
  txn: (id: string) => `txns/${encodeURIComponent(id)}`,
  otlp: (id: string) => `txns/${encodeURIComponent(id)}/trace`,
  resolve: (id: string) => `txns/${encodeURIComponent(id)}/resolve`,
  explain: (id: string) => `txns/${encodeURIComponent(id)}/explain`,
};
