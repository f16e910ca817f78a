// Brings a request to the leader of a group and comes back with what that leader said. Finds nodes and leaders (Status
// of every endpoint, NOT_LEADER hints) and remembers what failed; it does not know what may be sent twice: that is the
// business of the operations (operations.ts).
import { credentials, type Client as GrpcClient, type ServiceError } from '@grpc/grpc-js';

import { Directory, type Target } from './directory';
import { answered, AssentError, judge, toError, type Judgement } from './errors';
import { Backoff, leftUntil, now, Pace, sleep, type Deadline } from './pace';
import { clients, type StatusResponse } from './wire';

export type ServiceName = 'Coordinator' | 'Shard' | 'Cluster';
export interface Method {
  service: ServiceName;
  name: string;
}

/** One request brought to one leader. */
export interface Delivery<Response> {
  target: Target;
  judgement: Judgement;
  response: Response;
  followNow: boolean; // with elsewhere: the hint names somebody else worth asking at once
}

type Reply<Response> = { judgement: Judgement; response: Response };
type UnaryMethod = (request: unknown, options: { deadline: Date }, done: (error: ServiceError | null, response: unknown) => void) => void;

// However many operations look for a leader, the nodes are asked no more often than this.
const refreshSpacingMs = 20;
const statusTimeoutMs = 1_000;
// A node that failed is asked again, but nobody waits long for it: the others know who leads now.
const doubtfulTimeoutMs = 250;

const channelOptions = {
  // A node that restarts must be found again at once.
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.enable_retries': 0, // what is safe to send again is known here, not there
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': 64 << 20,
};

export class Courier {
  readonly directory: Directory;
  readonly #closing = new AbortController();
  readonly #stubs = new Map<string, GrpcClient>(); // by service and endpoint
  #refreshing: Promise<void> | undefined;
  #refreshed = -Infinity;

  constructor(
    seeds: readonly string[],
    readonly attemptTimeoutMs: number,
  ) {
    this.directory = new Directory(seeds);
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }
  close(): void {
    this.#closing.abort();
    for (const stub of this.#stubs.values()) stub.close();
    this.#stubs.clear();
  }
  pause(millis: number): Promise<void> {
    return sleep(millis, this.#closing.signal);
  }
  cancelled(): AssentError {
    return new AssentError('cancelled', 'the client was closed');
  }

  /** The group's leader, waiting for one to be elected until the deadline. Throws AssentError. */
  findLeader(group: string, deadline: Deadline): Promise<Target> {
    return this.#find(() => this.directory.leader(group), group, deadline);
  }
  /** The name of the coordinator group. */
  findCoordinator(deadline: Deadline): Promise<string> {
    return this.#find(() => this.directory.coordinator(), undefined, deadline);
  }

  async #find<T>(look: () => T | undefined, group: string | undefined, deadline: Deadline): Promise<T> {
    const backoff = new Backoff(10, 200);
    for (let first = true; ; first = false) {
      if (this.closed) throw this.cancelled();
      if (!first) await this.#refresh(deadline);
      const found = look();
      if (found !== undefined) return found;
      if (first) continue;
      if (this.closed) throw this.cancelled();
      if (this.directory.lacks(group) || leftUntil(deadline) === 0) throw this.directory.nobody(group);
      await this.pause(Math.min(backoff.next(), leftUntil(deadline)));
    }
  }

  /** One attempt at the group's leader, at most until attemptDeadline. Throws when no leader is found in time. */
  async deliver<Response>(
    group: string,
    method: Method,
    request: object,
    attemptDeadline: Deadline,
    deadline: Deadline,
  ): Promise<Delivery<Response>> {
    const target = await this.findLeader(group, deadline);
    const { judgement, response } = await this.#call<Response>(target.endpoint, method, request, attemptDeadline);
    return { target, judgement, response, followNow: this.#note(target, judgement) };
  }

  /** For calls that may be repeated freely: asks the group's leader until it answers, or throws. */
  async ask<Response>(group: string, method: Method, request: object, deadline: Deadline): Promise<Response> {
    const pace = new Pace(deadline, this.attemptTimeoutMs);
    let last: AssentError | undefined;
    for (;;) {
      let delivery: Delivery<Response>;
      try {
        delivery = await this.deliver<Response>(group, method, request, pace.attemptDeadline(), deadline);
      } catch (error) {
        throw last ?? error;
      }
      const { verdict } = delivery.judgement;
      if (verdict === 'answered') return delivery.response;
      if (verdict === 'invalid' || verdict === 'not_found' || verdict === 'refused') throw toError(delivery.judgement);
      last = this.timeIsUp(delivery);
      await this.pause(pace.pause(delivery.followNow));
      if (this.closed) throw this.cancelled();
      if (pace.over()) throw last;
    }
  }

  /** As ask(), of whichever replica of the group answers: they take turns, from one drawn at random on. */
  async askAnyReplica<Response>(group: string, method: Method, request: object, deadline: Deadline): Promise<Response> {
    const pace = new Pace(deadline, this.attemptTimeoutMs);
    const turn = Math.floor(Math.random() * 65_536);
    let last: AssentError | undefined;
    for (;;) {
      let targets = this.directory.replicas(group);
      if (targets.length === 0) {
        try {
          const leader = await this.findLeader(group, deadline);
          targets = this.directory.replicas(group);
          if (targets.length === 0) targets = [leader];
        } catch (error) {
          throw last ?? error;
        }
      }
      const first = turn % targets.length;
      for (const target of [...targets.slice(first), ...targets.slice(0, first)]) {
        const { judgement, response } = await this.#call<Response>(target.endpoint, method, request, pace.attemptDeadline());
        const { verdict } = judgement;
        if (verdict === 'answered') return response;
        if (verdict === 'invalid' || verdict === 'not_found' || verdict === 'refused') throw toError(judgement);
        if (verdict !== 'elsewhere') this.#note(target, judgement);
        last = this.timeIsUp({ target, judgement, response, followNow: false });
        if (this.closed) throw this.cancelled();
        if (pace.over()) throw last;
      }
      await this.pause(pace.pause(false));
      if (this.closed) throw this.cancelled();
      if (pace.over() && last) throw last;
    }
  }

  timeIsUp(delivery: Delivery<unknown>): AssentError {
    const { verdict } = delivery.judgement;
    const code = verdict === 'busy' ? 'busy' : verdict === 'lost' ? 'timed_out' : this.directory.nobody(delivery.target.group).code;
    return this.directory.timeIsUp(delivery.target, code, delivery.judgement);
  }

  #call<Response>(endpoint: string, method: Method, request: object, deadline: Deadline): Promise<Reply<Response>> {
    const stub = this.#stub(method.service, endpoint) as unknown as Record<string, UnaryMethod>;
    return new Promise((resolve) => {
      stub[method.name]?.call(stub, request, { deadline: new Date(Date.now() + leftUntil(deadline)) }, (error, response) => {
        resolve({ judgement: error ? judge(error) : answered, response: response as Response });
      });
    });
  }

  #stub(service: ServiceName, endpoint: string): GrpcClient {
    const key = `${service} ${endpoint}`;
    let stub = this.#stubs.get(key);
    if (!stub) {
      if (this.closed) throw this.cancelled();
      this.#stubs.set(key, (stub = new clients[service](endpoint, credentials.createInsecure(), channelOptions)));
    }
    return stub;
  }

  #note(target: Target, judgement: Judgement): boolean {
    switch (judgement.verdict) {
      case 'elsewhere':
        return this.directory.notLeading(target, judgement.hint);
      case 'unsent':
        this.directory.failed(target.endpoint, judgement.message);
        return false;
      case 'lost':
        // A node that says that it does not know the outcome is a node that answers.
        if (!judgement.reason) this.directory.failed(target.endpoint, judgement.message);
        return false;
      default:
        return false;
    }
  }

  // A round of Status calls, which any number of operations wait for.
  #refresh(deadline: Deadline): Promise<void> {
    this.#refreshing ??= this.#survey(deadline).finally(() => {
      this.#refreshing = undefined;
      this.#refreshed = now();
    });
    return this.#refreshing;
  }

  // Ends early, as soon as every known group has a leader that answers.
  async #survey(deadline: Deadline): Promise<void> {
    await this.pause(this.#refreshed + refreshSpacingMs - now());
    // Others wait for this survey, too, and a node is not failing because the time of the first of them is nearly up.
    const until = Math.min(Math.max(deadline, now() + doubtfulTimeoutMs), now() + statusTimeoutMs);
    const asked = new Set<string>();
    await new Promise<void>((resolve) => {
      let outstanding = 0;
      const askThem = (): void => {
        for (const endpoint of this.directory.endpoints()) {
          if (asked.has(endpoint)) continue;
          asked.add(endpoint);
          outstanding += 1;
          void this.#askStatus(endpoint, until)
            .catch((error: unknown) => this.directory.failed(endpoint, String(error)))
            .then(() => {
              askThem();
              outstanding -= 1;
              if (outstanding === 0 || this.directory.allLed()) resolve();
            });
        }
      };
      askThem();
    });
  }

  async #askStatus(endpoint: string, deadline: Deadline): Promise<void> {
    if (this.closed) return;
    const until = this.directory.failing(endpoint) ? Math.min(deadline, now() + doubtfulTimeoutMs) : deadline;
    const reply = await this.#call<StatusResponse>(endpoint, { service: 'Cluster', name: 'status' }, { digests: false }, until);
    if (reply.judgement.verdict === 'answered') {
      this.directory.answered(endpoint, reply.response);
    } else {
      this.directory.failed(endpoint, reply.judgement.message);
    }
  }
}
