// Transactions that are prepared or wait for longer than a second, each with the sentence why and what each shard sees.

import { Action, TokenField } from '../actions.js';
import { num, paths, type Explanation, type Sight, type TxnPage, type TxnSummary } from '../api.js';
import { duration } from '../format.js';
import { step_focus, useKeys } from '../keys.js';
import { usePoll } from '../live.js';
import { open_states, tone_of } from '../states.js';
import { Chips, Command, Empty, Loading, Panel, Sign, StateSign, TxnLink } from '../ui.js';

const explained_most = 12; // each is asked for on its own
const path = `txns?limit=100&slower_than=1s&state=${open_states.join(',')}`;

export function InDoubtPage() {
  const { data, error } = usePoll<TxnPage>(path, 2_000);
  useKeys({ j: () => step_focus('.doubt h3 a', 1), k: () => step_focus('.doubt h3 a', -1) });
  const txns = (data?.txns ?? []).slice().sort((a, b) => num(a.startedUnixMicros) - num(b.startedUnixMicros));
  return (
    <>
      <h1>In doubt</h1>
      <Panel title="Not over after a second" at={data?.asOfUnixMicros} error={error} unreachable={data?.unreachable}>
        {data === null && !error && <Loading />}
        {data !== null && txns.length === 0 && (
          <Empty
            why="Nothing is in doubt."
            next={
              <>
                Every transaction that the nodes know of ended within a second of its start or runs well. When a
                coordinator is lost in the middle of one, it shows up here with the reason, and goes when it is decided.
              </>
            }
          />
        )}
        {txns.map((txn, i) => (
          <Doubt key={txn.txnId} txn={txn} explain={i < explained_most} />
        ))}
      </Panel>
      <p class="note">
        <em>Resolve</em> asks all participants and ends what their votes prove; it refuses, and says why, while the protocol
        can still end the transaction by itself. It needs one of the tokens of <code>auth.admin_tokens_file</code>. What the
        votes do not prove is forced with <code>assentctl txn resolve --heuristic</code> alone.
      </p>
      <TokenField />
    </>
  );
}

function Doubt({ txn, explain }: { txn: TxnSummary; explain: boolean }) {
  const { data, error } = usePoll<Explanation>(explain ? `txns/${encodeURIComponent(txn.txnId)}/explain` : null, 3_000);
  return (
    <article class={`doubt tone-border-${tone_of(txn)}`}>
      <h3>
        <TxnLink id={txn.txnId} whole /> <StateSign txn={txn} />{' '}
        <span class="age">for {duration(num(txn.durationMicros))}</span>
      </h3>
      <p>
        {txn.protocol}, coordinator <strong>{txn.coordinator}</strong>, participants{' '}
        <Chips names={txn.participants} lead={txn.coordinator} />
      </p>
      {data && <p class="why">{data.why}</p>}
      {error && <p class="why">{error.message}</p>}
      {data && data.sights.length > 0 && <Sights sights={data.sights} />}
      <Action
        path={paths.resolve(txn.txnId)}
        label={`Resolve ${txn.txnId}`}
        confirm="Ask everybody and end what is proven?"
        done={(answer) => `it ${String((answer as { state?: unknown }).state).toLowerCase()}`}
      >
        Resolve…
      </Action>
      <Command text={`assentctl txn explain ${txn.txnId}`} />
    </article>
  );
}

export function Sights({ sights }: { sights: Explanation['sights'] }) {
  return (
    <div class="scroll">
      <table>
        <caption class="sr">What the leader of each group sees</caption>
        <thead>
          <tr>
            <th>Group</th><th>Stage</th><th>Since</th><th class="number">Locks</th><th>Misses word of</th><th>Waits for</th><th>Blocks</th><th>Next</th>
          </tr>
        </thead>
        <tbody>
          {sights.map(({ group, sight }) => sight && <SightRow key={group} group={group} sight={sight} />)}
        </tbody>
      </table>
    </div>
  );
}

function SightRow({ group, sight }: { group: string; sight: Sight }) {
  const queries = num(sight.queriesBlocked);
  const stage = sight.stage === 'finishing' || sight.stage === 'forced' ? `${sight.stage} (${sight.commit ? 'commit' : 'abort'})` : sight.stage;
  return (
    <tr>
      <th scope="row">{group}</th>
      <td>
        <Sign tone={sight.stage === 'in-doubt' ? 'doubt' : sight.stage === 'forced' ? 'fault' : 'live'}>{stage}</Sign>
        {sight.heuristic && <div>forced to {sight.heuristic.commit ? 'commit' : 'abort'}: {sight.heuristic.reason}</div>}
      </td>
      <td>{duration(num(sight.millis) * 1e3)}</td>
      <td class="number">{sight.locks}</td>
      <td><Chips names={sight.missing} /></td>
      <td><Ids ids={sight.waitsFor} /></td>
      <td><Ids ids={sight.blocks} />{queries > 0 && <div>{queries} queries</div>}</td>
      <td>
        {sight.leftMillis !== undefined && <div>in {duration(num(sight.leftMillis) * 1e3)}</div>}
        {sight.troubles.map((trouble, i) => <div key={i}>{trouble}</div>)}
      </td>
    </tr>
  );
}

function Ids({ ids }: { ids: readonly string[] }) {
  return <>{ids.map((id) => <div key={id}><TxnLink id={id} /></div>)}</>;
}
