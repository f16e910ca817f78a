export { later, no, readOnly, yes, LocalError, type Barrier, type Branch, type BranchKey, type InDoubt, type LocalTransaction, type Participant, type Vote } from './barrier';
export { Branches, type BranchesOptions, type Limits, type PrepareCall } from './branches';
export { ParticipantHost } from './host';
export type { Answer, Register } from './register';
export { askCoordinator, Resolver, type AskFate, type Fate, type Resolved, type ResolverOptions } from './resolver';
