// A development cluster: its nodes, to be killed, cut off and slowed down, and a bank whose sum stays what it was.

import { num, type DevState } from '../api.js';
import { Action } from '../actions.js';
import { clock, count } from '../format.js';
import { usePoll } from '../live.js';
import { Empty, Figure, Loading, Panel, Sign } from '../ui.js';

const said = (answer: unknown): string => {
  const text = (answer as { done?: unknown } | null)?.done;
  return typeof text === 'string' ? text : 'done';
};

export function DemoPage() {
  const { data, error, again } = usePoll<DevState>('dev', 1_000);
  if (error?.status === 404) {
    return (
      <>
        <h1>Demo</h1>
        <Empty why="This is not a development cluster." next={<>Start one: <code>assentd dev</code> prints where its page is.</>} />
      </>
    );
  }
  const bank = data?.bank;
  const broken = data?.nodes.some((node) => node.cut.length > 0 || node.syncDelayMillis > 0) ?? false;
  const whole = bank?.sum !== undefined && bank.sum === bank.expected && num(bank.wrongCounts) === 0;
  return (
    <>
      <h1>Demo</h1>
      <Panel title="Nodes" at={undefined} live={false} error={error}
        tools={<Action path="dev/heal" label="Heal all connections and disks" done={said} after={again} disabled={!broken}>Heal all</Action>}>
        {data === null && !error && <Loading />}
        <div class="scroll">
          <table>
            <caption class="sr">The nodes of this cluster and what can be done to them</caption>
            <thead>
              <tr><th>Node</th><th>State</th><th>Break it</th><th>Log</th></tr>
            </thead>
            <tbody>
              {(data?.nodes ?? []).map((node) => (
                <tr key={node.name}>
                  <th scope="row">{node.name}</th>
                  <td>
                    <Sign tone={!node.running ? 'fault' : node.cut.length > 1 || node.syncDelayMillis > 0 ? 'doubt' : 'live'}>
                      {!node.running ? 'killed' : 'runs'}
                      {node.cut.length > 0 && `, cut off from ${node.cut.join(' and ')}`}
                      {node.syncDelayMillis > 0 && `, disk ${node.syncDelayMillis} ms slower`}
                    </Sign>
                  </td>
                  <td class="actions">
                    {node.running ? (
                      <Action path="dev/kill" body={{ node: node.name }} label={`Kill ${node.name}`} done={said} after={again}>Kill</Action>
                    ) : (
                      <Action path="dev/restart" body={{ node: node.name }} label={`Restart ${node.name}`} done={said} after={again}>Restart</Action>
                    )}
                    <Action path="dev/isolate" body={{ node: node.name }} label={`Cut ${node.name} off`} done={said} after={again}>Cut off</Action>
                    <Action path="dev/slow" body={{ node: node.name }} label={`Slow the disk of ${node.name}`} done={said} after={again}>Slow disk</Action>
                  </td>
                  <td class="mono">{node.log}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
      <Panel title="Bank" at={bank?.countedUnixMicros} error={null}
        tools={<Action path="dev/bank" label={bank?.running ? 'Let the bank rest' : 'Let the bank go on'} done={said} after={again}>{bank?.running ? 'Rest' : 'Go on'}</Action>}>
        {bank && (
          <>
            <dl class="figures">
              <Figure name="sum of all accounts" value={bank.sum ?? '…'} note={`must be ${bank.expected}`}
                tone={bank.sum === undefined ? 'neutral' : whole ? 'committed' : 'fault'} />
              <Figure name="times counted" value={count(num(bank.counts))} note={`${bank.wrongCounts} of them wrong`} />
              <Figure name="transfers committed" value={count(num(bank.committed))} />
              <Figure name="aborted" value={count(num(bank.aborted))} />
              <Figure name="not told yet" value={count(num(bank.unknown))} />
            </dl>
            {bank.trouble !== '' && (
              <p class="notice" role="status">
                ⚠ It could not be counted{num(bank.countedUnixMicros) > 0 && ` since ${clock(num(bank.countedUnixMicros))}`}: {bank.trouble}
              </p>
            )}
            <div class="scroll">
              <table class="balances">
                <caption class="sr">Balances as they were at one instant</caption>
                <thead><tr><th>Account</th><th class="number">Balance</th></tr></thead>
                <tbody>
                  {bank.balances.map((one) => (
                    <tr key={one.account}><th scope="row">{one.account}</th><td class="number">{one.balance}</td></tr>
                  ))}
                </tbody>
              </table>
            </div>
          </>
        )}
      </Panel>
    </>
  );
}
