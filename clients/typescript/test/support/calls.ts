// Calls as a test writes them down.
import type { Branches } from '../../src';
import type { Answer } from '../../src/participant/register';

export interface Step {
  call: 'prepare' | 'commit' | 'abort';
  txnId: string;
  payload?: string;
}
export const attempt = { epoch: 3n, number: 7n };

export function carryOut(branches: Branches<never>, step: Step): Promise<Answer> {
  const branch = { txnId: step.txnId, name: 'b', attempt, coordinator: 'c0' };
  if (step.call !== 'prepare') return branches.end(step.call, branch);
  return branches.prepare({ branch, participant: '', payload: Buffer.from(step.payload ?? ''), timeLeftMs: 0 });
}
