// The gRPC service assent.v1.Participant over a participant and its barrier, with gRPC's health service.
//
//   const host = new ParticipantHost({ name: 'ledger' }, ledger, barrier);
//   const port = await host.listen('0.0.0.0:9000');
//
// or host.addTo(server), for a gRPC server of the program's own; its grpc.max_receive_message_length must be above the
// limit for payloads.
import {
  Server,
  ServerCredentials,
  status as Code,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';

import { writeDetails } from '../details';
import { isTxnId } from '../ids';
import type { Attempt } from '../outcome';
import { healthService, participantService, type BranchRequest, type PrepareRequest, type WireAttempt } from '../wire';
import { type Barrier, type Branch, type Participant } from './barrier';
import { Branches, type BranchesOptions } from './branches';
import { answer, type Answer, type AnswerCode, type BranchState } from './register';

const codes: Record<AnswerCode, Code> = {
  ok: Code.OK,
  aborted: Code.ABORTED,
  not_found: Code.NOT_FOUND,
  running: Code.FAILED_PRECONDITION,
  invalid: Code.INVALID_ARGUMENT,
  busy: Code.RESOURCE_EXHAUSTED,
  unknown: Code.UNAVAILABLE,
};
const states: Record<BranchState, string> = {
  empty: 'BRANCH_EMPTY',
  running: 'BRANCH_RUNNING',
  prepared: 'BRANCH_PREPARED',
  read_only: 'BRANCH_READ_ONLY',
  committed: 'BRANCH_COMMITTED',
  aborted: 'BRANCH_ABORTED',
  refused: 'BRANCH_REFUSED',
  forgotten: 'BRANCH_FORGOTTEN',
};
const servedNames = ['', 'assent.v1.Participant'];
// Trailers carry 8 KiB at most, and ours holds the message twice.
const shownMax = 1_500;

type Unary<Request> = (call: ServerUnaryCall<Request, object>, done: sendUnaryData<object>) => void;
type HealthStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

export class ParticipantHost<Connection> {
  /** For a Resolver, and for a program's own look at its branches. */
  readonly branches: Branches<Connection>;
  readonly #watchers = new Set<() => void>();
  #server: Server | undefined;
  #serving = true;

  constructor(options: BranchesOptions, participant: Participant<Connection>, barrier: Barrier<Connection>) {
    this.branches = new Branches(options, participant, barrier);
  }

  addTo(server: Server): void {
    const end = (call: 'commit' | 'abort') => answering<BranchRequest>(async (request) => {
      const branch = readBranch(request);
      return 'code' in branch ? branch : this.branches.end(call, branch, request.participant);
    });
    server.addService(participantService, {
      prepare: answering<PrepareRequest>((request) => this.#prepare(request), prepared),
      commit: end('commit'),
      abort: end('abort'),
      status: this.#status,
    });
  }

  /** Health checking, for a server that has none yet. */
  addHealthTo(server: Server): void {
    server.addService(healthService, { check: this.#check, watch: this.#watch });
  }

  /** A server of its own at host:port (port 0: any). The port. */
  async listen(address: string, credentials: ServerCredentials = ServerCredentials.createInsecure()): Promise<number> {
    const server = new Server({
      'grpc.max_receive_message_length': this.branches.limits.payloadBytesMax + (4 << 20),
      'grpc.so_reuseport': 0, // a second process at the same port is a mistake
    });
    this.addTo(server);
    this.addHealthTo(server);
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
    });
  }

  /** Lets calls that run end, for at most so long. */
  async close(graceMs = 5_000): Promise<void> {
    this.#serving = false;
    for (const tell of this.#watchers) tell();
    const server = this.#server;
    if (!server) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        server.forceShutdown();
        resolve();
      }, graceMs);
      server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #prepare(request: PrepareRequest): Promise<Answer> {
    const branch = readBranch(request);
    if ('code' in branch) return branch;
    const { participant, payload, timeLeftMillis } = request;
    return this.branches.prepare({ branch, participant, payload: Buffer.from(payload), timeLeftMs: timeLeftMillis });
  }

  readonly #status: Unary<BranchRequest> = (call, done) => {
    const { txnId, branch, participant } = call.request;
    void this.branches.status({ txnId, name: branch }, participant).then((found) => {
      if ('code' in found) return fail(found, done);
      const attempt = found.attempt ? { attempt: wireAttempt(found.attempt) } : {};
      return done(null, { state: states[found.state], coordinator: found.coordinator, changedAtMillis: String(found.changedAt), ...attempt });
    });
  };

  #health(service: string): HealthStatus {
    if (!servedNames.includes(service)) return 'SERVICE_UNKNOWN';
    return this.#serving ? 'SERVING' : 'NOT_SERVING';
  }
  readonly #check: Unary<{ service: string }> = (call, done) => {
    const status = this.#health(call.request.service);
    if (status === 'SERVICE_UNKNOWN') return done({ code: Code.NOT_FOUND, details: 'no such service here' });
    return done(null, { status });
  };
  readonly #watch = (call: ServerWritableStream<{ service: string }, { status: HealthStatus }>): void => {
    const tell = (): void => {
      call.write({ status: this.#health(call.request.service) });
      if (!this.#serving) call.end();
    };
    this.#watchers.add(tell);
    call.on('cancelled', () => this.#watchers.delete(tell));
    tell();
  };
}

function answering<Request>(act: (request: Request) => Promise<Answer>, tell: (told: Answer) => object = () => ({})): Unary<Request> {
  return (call, done) => {
    void act(call.request)
      .catch((error: unknown) => answer('unknown', 'UNAVAILABLE', String(error)))
      .then((told) => (told.code === 'ok' ? done(null, tell(told)) : fail(told, done)));
  };
}

function prepared(told: Answer): object {
  const attempt = told.recorded ? { attempt: wireAttempt(told.recorded) } : {};
  return { vote: told.readOnly ? 'VOTE_READ_ONLY' : 'VOTE_YES', result: told.result ?? Buffer.alloc(0), ...attempt };
}

function fail(told: Answer, done: sendUnaryData<object>): void {
  const metadata: Record<string, string> = {};
  if (told.refusal) metadata.refusal = told.refusal;
  if (told.reason === 'OTHER_ATTEMPT' && told.recorded) Object.assign(metadata, wireAttempt(told.recorded));
  const code = codes[told.code];
  const details = told.message.slice(0, shownMax);
  done({ code, details, metadata: writeDetails(code, details, { reason: told.reason, metadata }) });
}

// The fields that all requests begin with.
function readBranch(request: BranchRequest): Branch | Answer {
  const { txnId, branch, attempt, coordinator } = request;
  if (!isTxnId(txnId)) return answer('invalid', 'INVALID_ARGUMENT', 'txn_id must be 32 lower-case hex digits');
  if (!attempt) return answer('invalid', 'INVALID_ARGUMENT', 'attempt is required');
  return { txnId, name: branch, attempt: { epoch: BigInt(attempt.epoch), number: BigInt(attempt.number) }, coordinator };
}

function wireAttempt(attempt: Attempt): WireAttempt {
  return { epoch: attempt.epoch.toString(), number: attempt.number.toString() };
}
