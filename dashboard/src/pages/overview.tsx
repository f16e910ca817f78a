// One look: does it work, how fast, what is wrong. Rates and durations are those of the node that serves the page; what
// is in doubt and who leads is asked of all nodes.

import { num, type GroupPage, type TxnSummary } from '../api.js';
import { RateChart } from '../chart.js';
import { clock, count, duration, rate } from '../format.js';
import { usePoll, type Live } from '../live.js';
import { reasons_of, spread_of } from '../rates.js';
import { doubt_micros, event_tone, health_tone, is_abort_declined } from '../states.js';
import { Empty, Figure, Loading, Panel, Sign, TxnLink } from '../ui.js';
import { link } from '../url.js';

const recent = 5; // samples that a rate is the mean of

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function OverviewPage({ live }: { live: Live }) {
  const groups = usePoll<GroupPage>('groups', 2_000);
  const now = live.now;
  const last = live.samples.slice(-recent);
  const spread = spread_of(live.newest);
  const doubt = now !== null && num(now.inDoubtOldestMillis) * 1e3 >= doubt_micros;
  const lead = groups.data?.groups ?? [];
  return (
    <>
      <h1>Overview</h1>
      <Panel title={now ? `Transactions at ${now.node}` : 'Transactions'} at={now?.asOfUnixMicros}>
        {now === null ? (
          <Loading />
        ) : (
          <>
            <dl class="figures">
              <Figure name="Commits/s" value={last.length ? rate(mean(last.map((s) => s.commits))) : '–'} note={`${count(num(now.committed))} since it started`} />
              <Figure name="Aborts/s" value={last.length ? rate(mean(last.map((s) => s.aborts))) : '–'} note={`${count(num(now.aborted))} since it started`} />
              <Figure name="p50" value={spread ? duration(spread.p50) : '–'} note={spread ? `of the ${spread.n} newest that ended` : 'nothing has ended yet'} />
              <Figure name="p95" value={spread ? duration(spread.p95) : '–'} />
              <Figure name="p99" value={spread ? duration(spread.p99) : '–'} />
              <Figure name="Running" value={count(num(now.running))} />
              <Figure
                name="In doubt"
                value={doubt ? count(num(now.inDoubt)) : '0'}
                tone={doubt ? 'doubt' : 'neutral'}
                note={doubt ? `the oldest for ${duration(num(now.inDoubtOldestMillis) * 1e3)}` : 'none for longer than a second'}
              />
            </dl>
            {doubt && <p class="notice">◆ <a href={link('in-doubt')}>See what is in doubt, and why</a></p>}
            {num(now.started) === 0 ? (
              <Empty
                why="This node has not coordinated a transaction since it started."
                next={<>Start one: <code>assentctl demo bank</code>. Others' are listed under <a href={link('txns')}>Transactions</a>.</>}
              />
            ) : (
              <RateChart samples={live.samples} />
            )}
          </>
        )}
      </Panel>
      <div class="columns">
        <Panel title="Leaders" at={groups.data?.asOfUnixMicros} error={groups.error} unreachable={groups.data?.unreachable}>
          {groups.data === null && !groups.error && <Loading />}
          {lead.length > 0 && (
            <div class="scroll">
            <table>
              <caption class="sr">Groups with leader and health</caption>
              <thead><tr><th>Group</th><th>Leader</th><th>Health</th><th class="number">Active</th><th class="number">Prepared</th></tr></thead>
              <tbody>
                {lead.map((group) => (
                  <tr key={group.group}>
                    <th scope="row">{group.group}</th>
                    <td>{group.leader === '' ? 'none' : `★ ${group.leader}`}</td>
                    <td><Sign tone={health_tone(group.health)}>{group.health}</Sign></td>
                    <td class="number">{count(num(group.active))}</td>
                    <td class="number">{count(num(group.prepared))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            </div>
          )}
        </Panel>
        <Panel title="Newest events of this node" at={now?.asOfUnixMicros}>
          {live.events.length === 0 ? (
            <Empty why="Nothing has happened to this node yet." next={<>Events of all nodes: <a href={link('events')}>Events</a>.</>} />
          ) : (
            <ul class="plain events">
              {live.events.slice(0, 10).map((event) => (
                <li key={`${event.node}/${event.number}`}>
                  <span class="mono">{clock(num(event.unixMicros))}</span> <Sign tone={event_tone(event.kind)}>{event.kind}</Sign> {event.text}
                </li>
              ))}
            </ul>
          )}
        </Panel>
      </div>
      <Aborts newest={live.newest} at={now?.asOfUnixMicros} />
    </>
  );
}

function Aborts({ newest, at }: { newest: readonly TxnSummary[]; at: string | undefined }) {
  const reasons = reasons_of(newest);
  return (
    <Panel title="Aborts among the newest" at={at}>
      {reasons.length === 0 ? (
        <Empty why={`None of the ${newest.length} newest transactions aborted.`} next="When one does, its reason and an example show up here." />
      ) : (
        <div class="scroll">
          <table>
            <caption class="sr">Reasons of aborts with an example each</caption>
            <thead><tr><th>Reason</th><th class="number">How often</th><th>Example</th><th>What was said</th></tr></thead>
            <tbody>
              {reasons.map(({ reason, n }) => {
                const example = newest.find((txn) => txn.outcome === 'aborted' && txn.reason === reason);
                return (
                  <tr key={reason}>
                    <td><Sign tone={is_abort_declined(reason) ? 'declined' : 'fault'}>{reason === '' ? 'not recorded' : reason}</Sign></td>
                    <td class="number">{n}</td>
                    <td>{example && <TxnLink id={example.txnId} />}</td>
                    <td>{example?.refusedBy ? `${example.refusedBy}: ` : ''}{example?.message}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
