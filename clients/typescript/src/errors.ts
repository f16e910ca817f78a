// What is thrown, and what a failed call means: whether the request may have been carried out, and what to do next.
import { status as Code, type ServiceError as GrpcError } from '@grpc/grpc-js';

import { readDetails } from './details';

export type ErrorCode =
  | 'invalid' // the request makes no sense, or the service says so; the same request fails again
  | 'not_found' // no such group
  | 'unreachable' // no endpoint answered
  | 'no_leader' // nodes answered, but the group had no leader in time
  | 'timed_out' // a leader was asked and did not answer in time
  | 'busy' // turned away for lack of room until the time was up
  | 'refused' // understood, and the answer is no
  | 'cancelled' // the client was closed meanwhile
  | 'internal'; // the service or the connection misbehaved

/** What one endpoint said when it was last asked. */
export interface EndpointReport {
  endpoint: string;
  node: string;
  said: string;
}

/**
 * Thrown when there is no answer to give. From `run()` it means that certainly nothing happened: where that is not
 * certain, the outcome is `unknown` instead, and nothing is thrown.
 */
export class AssentError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    /** The service's own word, when there was one: NOT_LEADER, TXN_TOO_OLD, ... */
    readonly reason = '',
    readonly tried: readonly EndpointReport[] = [],
  ) {
    super([message, ...tried.map((one) => `  ${one.endpoint}${one.node ? ` (${one.node})` : ''}: ${one.said}`)].join('\n'));
    this.name = 'AssentError';
  }
}

export type Verdict =
  | 'answered'
  | 'elsewhere' // this node does not lead: nothing was done; ask whom the hint names
  | 'busy' // nothing was done; ask again later
  | 'unsent' // nothing left this machine
  | 'lost' // it may have been done
  | 'invalid' // nothing was done, and the same request fails again
  | 'not_found'
  | 'refused';

export interface Judgement {
  verdict: Verdict;
  reason: string;
  message: string;
  hint: { group: string; leader: string; endpoint: string };
}

const verdictOfReason: Record<string, Verdict> = {
  NOT_LEADER: 'elsewhere',
  SHUTTING_DOWN: 'elsewhere',
  OVERLOADED: 'busy',
  TOO_STALE: 'busy',
  TXN_CONFLICT: 'busy',
  CANCELLED: 'busy',
  DEADLINE_PASSED: 'busy',
  OUTCOME_UNKNOWN: 'lost',
  IO_ERROR: 'lost',
  CORRUPTION: 'lost',
  INVALID_ARGUMENT: 'invalid',
  INVALID_SQL: 'invalid',
  TOO_LARGE: 'invalid',
  NOT_FOUND: 'not_found',
  GROUP_NOT_FOUND: 'not_found',
  TXN_NOT_FOUND: 'not_found',
  REFUSED: 'refused',
  UNSUPPORTED: 'refused',
  COMPACTED: 'refused',
  TXN_TOO_OLD: 'refused',
};

export const answered: Judgement = { verdict: 'answered', reason: '', message: '', hint: { group: '', leader: '', endpoint: '' } };

export function judge(error: GrpcError): Judgement {
  const details = readDetails(error.metadata);
  const hint = {
    group: details?.metadata.group ?? '',
    leader: details?.metadata.leader ?? '',
    endpoint: details?.metadata.endpoint ?? '',
  };
  if (details) {
    // A reason that this version does not know may stand for anything: it may have been done.
    return { verdict: verdictOfReason[details.reason] ?? 'lost', reason: details.reason, message: error.details, hint };
  }
  return { verdict: ofConnection(error), reason: '', message: tidy(error), hint };
}

// A call ends so while its channel has no connection, before anything is sent. There is no code for it, only these
// words of the transport; should they change, such a call counts as lost, which is the safe side.
function neverLeft(error: GrpcError): boolean {
  return (
    error.code === Code.UNAVAILABLE &&
    (error.details.startsWith('No connection established') || error.details.startsWith('Name resolution failed'))
  );
}

// A status that no node of a cluster wrote: the transport's own, or a proxy's.
function ofConnection(error: GrpcError): Verdict {
  if (neverLeft(error)) return 'unsent';
  switch (error.code) {
    case Code.UNIMPLEMENTED:
    case Code.UNAUTHENTICATED:
    case Code.PERMISSION_DENIED:
      return 'refused';
    case Code.RESOURCE_EXHAUSTED: // a message over a limit, and so again
      return 'invalid';
    default:
      return 'lost';
  }
}

// The transport wraps the cause in layers of its own words; a person wants the cause.
function tidy(error: GrpcError): string {
  const text = error.details;
  if (text.includes('ECONNREFUSED')) return 'connection refused';
  if (text.includes('ECONNRESET') || text.includes('Connection dropped') || text.includes('GOAWAY')) return 'the connection was lost';
  if (text.startsWith('Name resolution failed')) return 'the host name cannot be resolved';
  if (error.code === Code.DEADLINE_EXCEEDED) return 'no answer in time';
  if (error.code === Code.UNIMPLEMENTED) return 'does not speak assent.v1';
  return text;
}

/** For the verdicts invalid, not_found and refused. */
export function toError(judgement: Judgement): AssentError {
  const code = judgement.verdict === 'invalid' || judgement.verdict === 'not_found' ? judgement.verdict : 'refused';
  return new AssentError(code, judgement.message, judgement.reason);
}
