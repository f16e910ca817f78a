// Groups against nodes: who leads, who follows, who is behind, who is away.

import { num, type ClusterNode, type ClusterPage, type Group, type GroupMember, type GroupPage, type PeerLatency } from '../api.js';
import { bytes, count, duration } from '../format.js';
import { usePoll } from '../live.js';
import { health_tone } from '../states.js';
import { Command, Empty, Loading, Panel, Sign } from '../ui.js';

const lag_shown = 100; // entries: less is what a heartbeat leaves behind
const slow_micros = 50_000; // of a round trip: half of a heartbeat's pause

function Cell({ group, member }: { group: Group; member: GroupMember | undefined }) {
  if (member === undefined) return <td class="matrix" />;
  const lag = num(member.lagEntries);
  if (!member.up) return <td class="matrix tone-fault">✕ <span>does not answer</span></td>;
  if (member.leads || group.leader === member.node) return <td class="matrix tone-live">★ <span>leader</span></td>;
  if (lag >= lag_shown) return <td class="matrix tone-doubt">○ <span>{count(lag)} behind</span></td>;
  return <td class="matrix">● <span>{lag === 0 ? 'follower' : `follower, ${count(lag)} behind`}</span></td>;
}

// A message to the other node and back, between the loops of both.
function Distance({ peer }: { peer: PeerLatency | undefined }) {
  if (peer === undefined) return <td class="matrix">not told</td>;
  if (!peer.up) return <td class="matrix tone-fault">✕ <span>lost</span></td>;
  const micros = num(peer.roundTripMicros);
  if (micros === 0) return <td class="matrix">up, not measured</td>;
  const slow = micros >= slow_micros;
  return <td class={slow ? 'matrix tone-doubt' : 'matrix'}>{slow ? '○ ' : ''}<span>{duration(micros)}</span></td>;
}

function Distances({ nodes, all }: { nodes: readonly ClusterNode[]; all: readonly string[] }) {
  return (
    <div class="scroll">
      <table class="distances">
        <caption class="sr">How long a message takes from the node of the row to that of the column and back, as the first measures it</caption>
        <thead>
          <tr><th>From</th>{all.map((node) => <th key={node} class="matrix">to {node}</th>)}</tr>
        </thead>
        <tbody>
          {all.map((from) => {
            const told = nodes.find((one) => one.node === from);
            return (
              <tr key={from}>
                <th scope="row">{from}</th>
                {all.map((to) =>
                  to === from ? <td key={to} class="matrix" />
                  : told === undefined ? <td key={to} class="matrix tone-fault">✕ <span>does not answer</span></td>
                  : <Distance key={to} peer={(told.peers ?? []).find((one) => one.node === to)} />,
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

export function GroupsPage() {
  const groups = usePoll<GroupPage>('groups', 1_500);
  const cluster = usePoll<ClusterPage>('cluster', 2_000);
  const page = groups.data;
  const nodes = [...new Set((page?.groups ?? []).flatMap((group) => group.members.map((one) => one.node)))].sort();
  const machines = [...new Set([...nodes, ...(cluster.data?.nodes ?? []).flatMap((one) => [one.node, ...(one.peers ?? []).map((peer) => peer.node)])])].sort();
  const troubled = (page?.groups ?? []).filter((group) => group.health !== 'ok');
  return (
    <>
      <h1>Groups and nodes</h1>
      <Panel title="Groups by nodes" at={page?.asOfUnixMicros} error={groups.error} unreachable={page?.unreachable}>
        {page === null && !groups.error && <Loading />}
        {page !== null && page.groups.length === 0 && (
          <Empty why="No node answered with its groups." next={<>Check the nodes: <code>assentctl cluster status</code></>} />
        )}
        {page !== null && page.groups.length > 0 && (
          <div class="scroll">
            <table>
              <caption class="sr">Each group with the part that each node has in it</caption>
              <thead>
                <tr>
                  <th>Group</th><th>Role</th><th>Health</th>
                  {nodes.map((node) => <th key={node} class="matrix">{node}</th>)}
                  <th class="number">Term</th><th class="number">Committed</th><th class="number">Lag</th>
                  <th class="number">Active</th><th class="number">Prepared</th><th class="number">Locks</th>
                </tr>
              </thead>
              <tbody>
                {page.groups.map((group) => (
                  <tr key={group.group}>
                    <th scope="row">{group.group}</th>
                    <td>{group.role}</td>
                    <td><Sign tone={health_tone(group.health)}>{group.health}</Sign></td>
                    {nodes.map((node) => (
                      <Cell key={node} group={group} member={group.members.find((one) => one.node === node)} />
                    ))}
                    <td class="number">{count(num(group.epoch))}</td>
                    <td class="number">{count(num(group.committedIndex))}</td>
                    <td class="number">{count(Math.max(0, ...group.members.map((one) => num(one.lagEntries))))}</td>
                    <td class="number">{count(num(group.active))}</td>
                    <td class="number">{count(num(group.prepared))}</td>
                    <td class="number">{count(num(group.locks))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        <p class="note">★ leader · ● follower · ○ behind · ✕ does not answer. Empty: not a member.</p>
        {troubled.map((group) => (
          <p key={group.group} class="notice">
            {group.group}: {group.health}.{' '}
            {group.health.startsWith('degraded')
              ? 'It works as long as a majority answers; start the missing node again.'
              : 'It can neither decide nor vote until a majority of its members answers.'}
          </p>
        ))}
        <Command text="assentctl cluster status" />
      </Panel>
      <Panel title="From node to node" at={cluster.data?.asOfUnixMicros} error={cluster.error} unreachable={cluster.data?.unreachable}>
        {cluster.data === null && !cluster.error && <Loading />}
        {cluster.data !== null && <Distances nodes={cluster.data.nodes} all={machines} />}
        <p class="note">
          A message there and back, each second, between the loops of both: what a busy node adds is in it. ✕ lost: nothing has come back for three seconds.
        </p>
      </Panel>
      <Panel title="Nodes" at={cluster.data?.asOfUnixMicros} live={false} error={cluster.error} unreachable={cluster.data?.unreachable}>
        {cluster.data === null && !cluster.error && <Loading />}
        {cluster.data !== null && (
          <div class="scroll">
            <table>
              <caption class="sr">The nodes that answer</caption>
              <thead>
                <tr><th>Node</th><th>Version</th><th class="number">Memory</th><th class="number">Log written</th><th class="number">Syncs</th></tr>
              </thead>
              <tbody>
                {cluster.data.nodes.map((node) => (
                  <tr key={node.node}>
                    <th scope="row">{node.node}</th>
                    <td>{node.version}</td>
                    <td class="number">{bytes(num(node.counters?.residentBytes))}</td>
                    <td class="number">{bytes(num(node.counters?.walBytes))}</td>
                    <td class="number">{count(num(node.counters?.walSyncs))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
    </>
  );
}
