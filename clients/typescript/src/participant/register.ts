// The register of a branch, and the rules of participant.proto as pure functions: what a call that finds a register is
// answered, whether it writes, and what the register becomes. The same table as service/register.cc.
import type { Attempt } from '../outcome';
import { tidyText } from '../names';
import type { Branch, Vote } from './barrier';

export type WrittenState = 'prepared' | 'read_only' | 'committed' | 'aborted' | 'refused';
export type BranchState = WrittenState | 'empty' | 'running' | 'forgotten';
export const writtenStates: readonly string[] = ['prepared', 'read_only', 'committed', 'aborted', 'refused'];

export interface Register {
  state: BranchState;
  attempt: Attempt | undefined; // of a yes or a read only, ended or not
  coordinator: string;
  refusal: string; // of a no
  message: string;
  result: Buffer;
  payload: Buffer; // while prepared: the commit or abort gets it again
  changedAt: number; // milliseconds since 1970, by the service's clock
}

export type AnswerCode = 'ok' | 'aborted' | 'not_found' | 'running' | 'invalid' | 'busy' | 'unknown';
export type Reason =
  | ''
  | 'VOTE_NO'
  | 'BRANCH_ABORTED'
  | 'TXN_TOO_OLD'
  | 'STILL_RUNNING'
  | 'NEVER_PREPARED'
  | 'BRANCH_FORGOTTEN'
  | 'COMMIT_AFTER_ABORT'
  | 'ABORT_AFTER_COMMIT'
  | 'OTHER_ATTEMPT'
  | 'INVALID_ARGUMENT'
  | 'WRONG_PARTICIPANT'
  | 'OVERLOADED'
  | 'UNAVAILABLE';

export interface Answer {
  code: AnswerCode;
  reason: Reason;
  message: string; // what happened and what next, when it is not ok
  recorded?: Attempt | undefined; // what a prepare or OTHER_ATTEMPT tells
  readOnly?: boolean; // of a prepare that is ok
  result?: Buffer; // of a prepare that is ok
  refusal?: string; // with VOTE_NO
}
export type Call = 'prepare' | 'commit' | 'abort';

/** Nothing to answer: the call writes. */
export type Ruling = Answer | 'writes';

export const refusalBytesMax = 100;
export const messageBytesMax = 1_000;

export const ok: Answer = { code: 'ok', reason: '', message: '' };
export function answer(code: AnswerCode, reason: Reason, message: string): Answer {
  return { code, reason, message };
}

export function blank(state: BranchState): Register {
  const empty = Buffer.alloc(0);
  return { state, attempt: undefined, coordinator: '', refusal: '', message: '', result: empty, payload: empty, changedAt: 0 };
}

export function judge(call: Call, found: Register, attempt: Attempt): Ruling {
  switch (found.state) {
    case 'empty':
      return judgeEmpty(call);
    case 'forgotten':
      return judgeForgotten(call);
    case 'prepared':
    case 'read_only':
    case 'committed':
      return judgeLive(call, found, attempt);
    case 'aborted':
    case 'refused':
      return judgeDead(call, found);
    case 'running':
      return answer('running', 'STILL_RUNNING', 'a call for the branch is running; ask again');
  }
}

function judgeEmpty(call: Call): Ruling {
  if (call !== 'commit') return 'writes';
  return answer('not_found', 'NEVER_PREPARED', 'the branch was never prepared here: is this the right service, and the database that it prepared in?');
}

function judgeForgotten(call: Call): Ruling {
  switch (call) {
    case 'prepare':
      return answer('aborted', 'TXN_TOO_OLD', 'the transaction is older than what is remembered here, and is not prepared any more');
    case 'commit':
      return answer('not_found', 'BRANCH_FORGOTTEN', 'the branch is not known any more; had it been prepared and not ended, it would be');
    case 'abort':
      return ok;
  }
}

// The register holds a yes or a read only, ended by a commit or not ended.
function judgeLive(call: Call, found: Register, attempt: Attempt): Ruling {
  const recorded = found.attempt ?? { epoch: 0n, number: 0n };
  if (call === 'prepare') return { ...ok, recorded, readOnly: found.state === 'read_only', result: found.result };
  if (recorded.epoch !== attempt.epoch || recorded.number !== attempt.number) {
    const text = `the branch is recorded for attempt ${recorded.epoch}.${recorded.number}, not for ${attempt.epoch}.${attempt.number}; nothing was changed`;
    return { ...answer('aborted', 'OTHER_ATTEMPT', text), recorded };
  }
  if (found.state === 'prepared') return 'writes';
  if (found.state === 'read_only' || call === 'commit') return ok;
  return answer('aborted', 'ABORT_AFTER_COMMIT', 'the branch is committed and cannot be aborted any more: whoever decided has changed its mind');
}

// The register holds a no, or was aborted.
function judgeDead(call: Call, found: Register): Ruling {
  const refused = found.state === 'refused';
  if (call === 'abort') return ok;
  if (call === 'commit') {
    return answer('aborted', 'COMMIT_AFTER_ABORT', refused ? 'the branch voted no and cannot be committed' : 'the branch is aborted for good');
  }
  if (!refused) return answer('aborted', 'BRANCH_ABORTED', 'the branch was aborted, before this prepare or after one');
  return { ...answer('aborted', 'VOTE_NO', found.message), refusal: found.refusal };
}

// ---- what the writing calls record ----

export type RecordedVote = Exclude<Vote, { kind: 'later' }>;

export function recordVote(branch: Branch, payload: Buffer, vote: RecordedVote, now: number): Register {
  const out = { ...blank('refused'), coordinator: branch.coordinator, changedAt: now };
  if (vote.kind === 'no') {
    out.refusal = tidyText(vote.refusal, refusalBytesMax);
    out.message = tidyText(vote.message, messageBytesMax);
    return out;
  }
  out.attempt = branch.attempt;
  out.result = Buffer.from(vote.result);
  out.state = vote.kind === 'yes' ? 'prepared' : 'read_only';
  if (vote.kind === 'yes') out.payload = payload;
  return out;
}

export function recordAbort(branch: Branch, now: number): Register {
  return { ...blank('aborted'), coordinator: branch.coordinator, changedAt: now };
}

/** Of a yes. */
export function recordEnd(prepared: Register, call: 'commit' | 'abort', now: number): Register {
  const empty = Buffer.alloc(0);
  const out: Register = { ...prepared, payload: empty, changedAt: now, state: call === 'commit' ? 'committed' : 'aborted' };
  if (call === 'abort') out.result = empty;
  return out;
}
