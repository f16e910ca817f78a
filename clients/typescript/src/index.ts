export { Client, type AskOptions, type ClientOptions, type RunOptions } from './client';
export { AssentError, type EndpointReport, type ErrorCode } from './errors';
export { createdAt, newTxnId } from './ids';
export { isDefinite, type Aborted, type AbortReason, type Attempt, type Committed, type Definite, type OperationResult, type Outcome, type Unknown } from './outcome';
export { IncomingTransaction, type CallerTransaction, type Enlistment } from './propagation';
export { Txn, type Bounds, type Service, type ServiceMode } from './txn';
export type { Parameter, Value } from './values';
export type { Protocol } from './wire';
export * from './participant';
