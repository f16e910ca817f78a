// Who blocks whom: each transaction that holds what others want, and below it those that wait.

import { num, paths, type SightPage } from '../api.js';
import { chains, hot_keys, type HotKey, type Link } from '../contention.js';
import { count, duration } from '../format.js';
import { step_focus, useKeys } from '../keys.js';
import { usePoll } from '../live.js';
import { Empty, Figure, Loading, Panel, Sign, TxnLink } from '../ui.js';

const keys_listed = 20;
const keys_shown = 3;

export function ContentionPage() {
  const { data, error } = usePoll<SightPage>(paths.locks, 2_000);
  useKeys({ j: () => step_focus('table.chains th a', 1), k: () => step_focus('table.chains th a', -1) });
  const links = data === null ? [] : chains(data);
  const keys = data === null ? [] : hot_keys(data, keys_listed);
  const waiting = links.filter((link) => link.depth > 0 && !link.again);
  const longest = Math.max(0, ...waiting.map((link) => num(link.sight?.millis)));
  return (
    <>
      <h1>Contention</h1>
      <Panel title="Who blocks whom" at={data?.asOfUnixMicros} error={error} unreachable={data?.unreachable}>
        {data === null && !error && <Loading />}
        {data !== null && links.length === 0 && (
          <Empty
            why="Nobody waits for a lock."
            next="A transaction that finds what it needs locked by another one stands here below it, until that one has ended or its own patience has."
          />
        )}
        {links.length > 0 && (
          <>
            <dl class="figures">
              <Figure name="transactions that wait" value={count(waiting.length)} />
              <Figure name="they wait for" value={count(links.filter((link) => link.depth === 0).length)} note="that wait for nobody" />
              <Figure name="the oldest of them" value={duration(longest * 1e3)} />
            </dl>
            <Chains links={links} />
          </>
        )}
      </Panel>
      {keys.length > 0 && (
        <Panel title="What they wait for" at={data?.asOfUnixMicros}>
          <Keys keys={keys} />
        </Panel>
      )}
      <p class="note">
        An older transaction waits for a younger one; a younger one that meets an older one is refused as a conflict at once, so that no two ever wait for
        each other. Queries wait as well, and are counted.
      </p>
    </>
  );
}

function Keys({ keys }: { keys: readonly HotKey[] }) {
  return (
    <div class="scroll">
      <table class="keys-held">
        <caption class="sr">Keys and rows that others wait for, those that most wait for first</caption>
        <thead>
          <tr><th>Key</th><th>Group</th><th class="number">Wait for it</th><th class="number">Hold it</th></tr>
        </thead>
        <tbody>
          {keys.map((one) => (
            <tr key={`${one.group} ${one.key}`}>
              <th scope="row" class="mono">{one.key}</th>
              <td>{one.group}</td>
              <td class="number">{count(one.waiters)}</td>
              <td class="number">{count(one.holders)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Chains({ links }: { links: readonly Link[] }) {
  return (
    <div class="scroll">
      <table class="chains">
        <caption class="sr">Transactions that hold what others want, each followed by those that wait for it</caption>
        <thead>
          <tr>
            <th>Transaction</th><th>Group</th><th>Stage</th><th>Since</th><th>Key</th><th class="number">Locks</th><th class="number">Keeps waiting</th><th>Gives up in</th>
          </tr>
        </thead>
        <tbody>
          {links.map((link, i) => <Row key={`${i} ${link.id}`} link={link} />)}
        </tbody>
      </table>
    </div>
  );
}

// Of one that waits what it waits for, of the first of a chain what it keeps from others.
function keys_of(depth: number, sight: Link['sight']): string {
  const keys = (depth > 0 ? sight?.wantedKeys : sight?.contestedKeys) ?? [];
  return keys.length > keys_shown ? `${keys.slice(0, keys_shown).join(', ')} …` : keys.join(', ');
}

function Row({ link: { id, depth, group, sight, again, waiters, queries } }: { link: Link }) {
  const doubt = sight?.stage === 'in-doubt' || sight?.stage === 'resolving';
  return (
    <tr>
      <th scope="row" class="one-line">
        <span class="indent" aria-hidden="true">{depth === 0 ? '' : `${'\u00a0'.repeat(3 * (depth - 1))}└ `}</span>
        {depth > 0 && <span class="sr">waits, at depth {depth}: </span>}
        <TxnLink id={id} />
      </th>
      <td>{group}</td>
      <td>{sight ? <Sign tone={doubt ? 'doubt' : 'live'}>{sight.stage}</Sign> : ''}</td>
      <td>{sight ? duration(num(sight.millis) * 1e3) : ''}</td>
      <td class="mono">{keys_of(depth, sight)}</td>
      <td class="number">{sight?.locks ?? ''}</td>
      <td class="number">
        {again ? 'as above' : waiters > 0 ? count(waiters) : ''}
        {!again && queries > 0 && ` + ${count(queries)} queries`}
      </td>
      <td>{sight?.leftMillis !== undefined && duration(num(sight.leftMillis) * 1e3)}</td>
    </tr>
  );
}
