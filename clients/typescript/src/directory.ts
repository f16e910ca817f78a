// What the client knows of the cluster: which endpoints there are, which node each one is, which groups there are and
// who leads them. Learned from Status answers and from NOT_LEADER hints; an entry is believed until an answer
// contradicts it. Makes no call.
import { AssentError, type EndpointReport, type ErrorCode, type Judgement } from './errors';
import type { StatusResponse } from './wire';

export interface Target {
  group: string;
  node: string;
  endpoint: string;
}

interface Place {
  node: string; // empty until it told
  trouble: string; // empty: it answered when it was last asked
  asked: boolean;
  said: string;
}
interface Group {
  role: string;
  leader: string;
  epoch: bigint;
  carriers: Set<string>; // nodes that told that they carry it
}

export class Directory {
  readonly #places = new Map<string, Place>(); // by endpoint, in the order in which they became known
  readonly #addresses = new Map<string, string>(); // name of a node to the endpoint that is used for it
  readonly #groups = new Map<string, Group>();

  constructor(seeds: readonly string[]) {
    for (const seed of seeds) this.#place(seed);
  }

  endpoints(): string[] {
    return [...this.#places.keys()];
  }

  /** The believed leader, unless its endpoint failed since it last answered. */
  leader(group: string): Target | undefined {
    const node = this.#groups.get(group)?.leader;
    const endpoint = node ? this.#addresses.get(node) : undefined;
    if (!node || !endpoint || !this.#healthy(endpoint)) return undefined;
    return { group, node, endpoint };
  }

  /** Those that told that they carry the group, whose endpoints did not fail since they last answered. */
  replicas(group: string): Target[] {
    const targets: Target[] = [];
    for (const node of this.#groups.get(group)?.carriers ?? []) {
      const endpoint = this.#addresses.get(node);
      if (endpoint && this.#healthy(endpoint)) targets.push({ group, node, endpoint });
    }
    return targets;
  }

  allLed(): boolean {
    return this.#groups.size > 0 && [...this.#groups.keys()].every((name) => this.leader(name) !== undefined);
  }

  /** The coordinator group; nothing while none is known. */
  coordinator(): string | undefined {
    const found = [...this.#groups].filter(([, group]) => group.role === 'coordinator').map(([name]) => name);
    if (found.length > 1) {
      throw new AssentError('refused', `the cluster has several coordinator groups (${found.join(', ')}): this client knows one`);
    }
    return found[0];
  }

  shards(): string[] {
    return [...this.#groups].filter(([, group]) => group.role === 'shard').map(([name]) => name);
  }

  answered(endpoint: string, status: StatusResponse): void {
    const here = this.#place(endpoint);
    Object.assign(here, { node: status.node, asked: true, trouble: '', said: 'answers' });
    this.#addresses.set(status.node, endpoint); // what worked from here beats what the node says of itself
    for (const node of status.nodes) {
      if (!node.clientEndpoint || this.#addresses.has(node.name)) continue;
      this.#place(node.clientEndpoint).node = node.name;
      this.#addresses.set(node.name, node.clientEndpoint);
    }
    for (const group of this.#groups.values()) group.carriers.delete(status.node);
    for (const replica of status.replicas) {
      this.#learn(status.node, replica);
      this.#group(replica.group).carriers.add(status.node);
    }
  }

  failed(endpoint: string, why: string): void {
    const trouble = why || 'failed without a word';
    Object.assign(this.#place(endpoint), { asked: true, trouble, said: trouble });
  }

  /** The target said that it does not lead. True when the hint names somebody else who is not known to be failing. */
  notLeading(target: Target, hint: Judgement['hint']): boolean {
    const here = this.#place(target.endpoint);
    const name = hint.group || target.group;
    here.said = hint.leader ? `says that ${name} is led by ${hint.leader}` : `does not lead ${name} and knows no leader`;
    const group = this.#group(name);
    if (!hint.leader || hint.leader === target.node) {
      if (group.leader === target.node) group.leader = '';
      return false;
    }
    if (hint.endpoint && !this.#addresses.has(hint.leader)) {
      this.#place(hint.endpoint).node = hint.leader;
      this.#addresses.set(hint.leader, hint.endpoint);
    }
    group.leader = hint.leader;
    const endpoint = this.#addresses.get(hint.leader);
    return endpoint !== undefined && this.#healthy(endpoint);
  }

  /** Why there is nobody to ask for the group; nothing: for a coordinator. */
  nobody(group?: string): AssentError {
    const what = group ? `group ${group}` : 'coordinator group';
    const places = [...this.#places];
    const tried: EndpointReport[] = places.map(([endpoint, place]) => ({
      endpoint,
      node: place.node,
      said: place.asked ? place.said : 'was not asked',
    }));
    if (!places.some(([, place]) => place.asked && !place.trouble)) {
      return new AssentError('unreachable', 'no endpoint answers; check the endpoints, and that the nodes run', '', tried);
    }
    if (this.lacks(group)) {
      return new AssentError('not_found', `there is no ${what} here; the groups are: ${[...this.#groups.keys()].join(', ')}`);
    }
    const why = `${what} has no leader that answers; a leader needs a majority of the members`;
    return new AssentError('no_leader', why, '', tried);
  }

  /** Every endpoint answered and none has the group. */
  lacks(group?: string): boolean {
    const known = group ? this.#groups.has(group) : [...this.#groups.values()].some((one) => one.role === 'coordinator');
    return !known && [...this.#places.values()].every((place) => place.asked && !place.trouble);
  }

  failing(endpoint: string): boolean {
    return !this.#healthy(endpoint);
  }

  /** The last word of a leader that was asked until the time was up. */
  timeIsUp(target: Target, code: ErrorCode, judgement: Judgement): AssentError {
    const tried = this.nobody(target.group).tried;
    const who = `${target.node} (${target.endpoint}), asked as the leader of ${target.group}`;
    return new AssentError(code, `${who}, said until the time was up: ${judgement.message}`, judgement.reason, tried);
  }

  #learn(node: string, replica: StatusResponse['replicas'][number]): void {
    const group = this.#group(replica.group);
    group.role = replica.role;
    const epoch = BigInt(replica.epoch);
    if (epoch < group.epoch) return; // a view of the past
    const newer = epoch > group.epoch;
    group.epoch = epoch;
    if (replica.leads) {
      group.leader = node;
    } else if (newer || !group.leader || (group.leader === node && replica.leader !== node)) {
      group.leader = replica.leader;
    }
  }

  #group(name: string): Group {
    let group = this.#groups.get(name);
    if (!group) this.#groups.set(name, (group = { role: '', leader: '', epoch: 0n, carriers: new Set() }));
    return group;
  }

  #place(endpoint: string): Place {
    let place = this.#places.get(endpoint);
    if (!place) this.#places.set(endpoint, (place = { node: '', trouble: '', asked: false, said: '' }));
    return place;
  }

  #healthy(endpoint: string): boolean {
    return this.#places.get(endpoint)?.trouble === '';
  }
}
