// The messages as proto-loader has them: the API's definitions, loaded once, and types for what is used of them.
// Field names in camel case, 64-bit numbers as decimal text, enums as their names, bytes as Buffer.
import { loadPackageDefinition, type ServiceClientConstructor, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { join } from 'node:path';

import type { WireValue } from './values';

const definition: PackageDefinition = loadSync(
  ['assent/v1/assent.proto', 'assent/v1/participant.proto', 'google/rpc/status.proto', 'grpc/health/v1/health.proto'],
  { longs: String, enums: String, defaults: true, oneofs: true, includeDirs: [join(__dirname, '..', '..', 'proto')] },
);

function service(name: string): ServiceDefinition {
  return definition[name] as ServiceDefinition;
}
function client(name: string): ServiceClientConstructor {
  let at: unknown = loadPackageDefinition(definition);
  for (const part of name.split('.')) at = (at as Record<string, unknown>)[part];
  return at as ServiceClientConstructor;
}
function message<T>(name: string): MessageTypeDefinition<T, T> {
  return definition[name] as unknown as MessageTypeDefinition<T, T>;
}

export const participantService = service('assent.v1.Participant');
export const healthService = service('grpc.health.v1.Health');
export const clients = {
  Coordinator: client('assent.v1.Coordinator'),
  Shard: client('assent.v1.Shard'),
  Cluster: client('assent.v1.Cluster'),
  Participant: client('assent.v1.Participant'),
  Health: client('grpc.health.v1.Health'),
};

export const RpcStatus = message<{ code: number; message: string; details: { typeUrl: string; value: Uint8Array }[] }>('google.rpc.Status');
export const ErrorInfo = message<{ reason: string; domain: string; metadata: Record<string, string> }>('google.rpc.ErrorInfo');

export interface WireEnlistment {
  branch: string;
  participant: string;
  address: string;
  payload: Uint8Array;
}
export const EnlistmentMessage = message<WireEnlistment>('assent.v1.Enlistment');

// ---- assent.v1.Coordinator, Shard, Cluster ----

export interface WireOperation {
  sql?: { text: string; parameters: WireValue[]; expected?: string };
  get?: { key: string; expected?: string };
  put?: { key: string; value: Uint8Array };
  erase?: { key: string };
  expect?: { key: string; value?: Uint8Array };
  add?: { key: string; delta: string; floor?: string; ceiling?: string; escrow: boolean };
}
export interface WireResult {
  columns: string[];
  rows: { values: WireValue[] }[];
  rowsAffected: string;
}
export type Protocol = 'AUTO' | 'ONE_PHASE' | 'TWO_PHASE' | 'THREE_PHASE' | 'PAXOS_COMMIT';
export type TxnState = 'UNKNOWN' | 'RUNNING' | 'PREPARED' | 'COMMITTED' | 'ABORTED' | 'EXPIRED';
export interface WireService {
  name: string;
  target: string;
  payload: Uint8Array;
  participant: string;
  retriable?: boolean;
  timeoutMillis?: number;
  maxCalls?: number;
}
export type Mode = 'ATOMIC' | 'TCC' | 'SAGA' | 'CONCURRENT_SAGA';
export interface ExecuteRequest {
  txnId: string;
  firstTxnId: string;
  protocol: Protocol;
  branches: { shard: string; operations: WireOperation[] }[];
  timeoutMillis: number;
  services: WireService[];
  mode?: Mode;
}
export interface GetOutcomeRequest {
  txnId: string;
  seal: boolean;
  waitMillis: number;
  group: string;
}
export interface WireAttempt {
  epoch: string;
  number: string;
}
export interface WireTransaction {
  txnId: string;
  state: TxnState;
  protocol: Protocol;
  abort: { reason: string; participant: string; message: string; constraint: string; holder: string } | null;
  results: { shard: string; results: WireResult[] }[];
  participants: string[];
  decidedAtMillis: string;
  answeredBy: string;
  services: { name: string }[];
  mode?: Mode;
  /** Of the committed content; only clusters that know it send it. */
  attempt?: WireAttempt | null;
}
export interface QueryRequest {
  shard: string;
  operations: WireOperation[];
  rehearse?: boolean;
  unchangedSince?: string;
  maxStalenessMillis?: string;
}
export interface QueryResponse {
  results: WireResult[];
  index: string;
  digests: string[];
  changed: boolean;
}
export interface StatusResponse {
  node: string;
  nodes: { name: string; clientEndpoint: string }[];
  replicas: { group: string; role: string; leader: string; leads: boolean; epoch: string }[];
}

// ---- assent.v1.Participant ----

export interface BranchRequest {
  txnId: string;
  branch: string;
  attempt: WireAttempt | null;
  coordinator: string;
  participant: string;
}
export interface PrepareRequest extends BranchRequest {
  payload: Buffer;
  timeLeftMillis: number;
}
