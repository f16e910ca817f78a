// The transactions of all nodes, the newest first, live on the first page.

import { useState } from 'preact/hooks';
import { num, paths, type TxnPage, type TxnSummary } from '../api.js';
import { Scatter } from '../chart.js';
import { filters_of, has_filters, is_duration, is_narrowed, matches, query_of, values_of, type Filters } from '../filters.js';
import { clock, duration, is_txn_id, iso } from '../format.js';
import { step_focus, useKeys } from '../keys.js';
import { usePoll } from '../live.js';
import { all_states } from '../states.js';
import { Chips, Empty, Loading, Panel, StateSign, TxnLink } from '../ui.js';
import { link, with_params, type View } from '../url.js';

const page_size = 100;

interface Props {
  view: View;
  go: (view: View) => void;
}

export function TransactionsPage({ view, go }: Props) {
  const filters = filters_of(view.params);
  const [paused, set_paused] = useState(false);
  const older = filters.cursor !== '';
  const { data, error, again } = usePoll<TxnPage>(paths.txns(query_of(filters, page_size)), 1_500, paused || older);
  const all = data?.txns ?? [];
  const shown = all.filter((txn) => matches(txn, filters));
  const set = (changes: Record<string, string>) => go(with_params(view, { cursor: '', ...changes }));
  const open = (id: string) => go({ page: 'txn', id, params: {} });
  useKeys({
    '/': () => document.getElementById('q')?.focus(),
    j: () => step_focus('table.txns td a', 1),
    k: () => step_focus('table.txns td a', -1),
    p: () => set_paused(!paused),
  });
  return (
    <>
      <h1>Transactions</h1>
      <FilterBar filters={filters} all={all} set={set} open={open} />
      <Panel
        title={older ? 'Older transactions' : 'Newest transactions'}
        at={data?.asOfUnixMicros}
        live={!paused && !older}
        error={error}
        unreachable={data?.unreachable}
        tools={
          <button type="button" aria-pressed={paused} disabled={older} onClick={() => set_paused(!paused)}>
            {paused ? '▶ Go on' : '‖ Pause'}
          </button>
        }
      >
        {data === null && !error && <Loading />}
        {data !== null && shown.length === 0 && <NoTxns filters={filters} loaded={all.length} />}
        {shown.length > 0 && (
          <>
            <Scatter txns={shown} open={open} />
            <Table txns={shown} />
          </>
        )}
        <div class="pager">
          <span role="status">
            {data !== null && (shown.length === all.length ? `${all.length} listed` : `${shown.length} of the ${all.length} on this page`)}
          </span>
          {older && <a href={link('txns', { ...view.params, cursor: '' })}>« Newest</a>}
          {data !== null && data.nextCursor !== '' && (
            <button type="button" onClick={() => go(with_params(view, { cursor: data.nextCursor }))}>Older »</button>
          )}
          {(paused || older) && <button type="button" onClick={again}>Ask again</button>}
        </div>
      </Panel>
    </>
  );
}

interface BarProps {
  filters: Filters;
  all: readonly TxnSummary[];
  set: (changes: Record<string, string>) => void;
  open: (id: string) => void;
}
function FilterBar({ filters, all, set, open }: BarProps) {
  const bad = filters.slower !== '' && !is_duration(filters.slower);
  const choice = (id: string, name: string, value: string, options: readonly string[]) => (
    <label>
      {name}{' '}
      <select value={value} onChange={(event) => set({ [id]: event.currentTarget.value })}>
        <option value="">all</option>
        {[...new Set([...options, value])].filter((one) => one !== '').map((one) => <option key={one}>{one}</option>)}
      </select>
    </label>
  );
  return (
    <form class="filters" role="search" aria-label="Filters of transactions" onSubmit={(event) => {
      event.preventDefault();
      const text = filters.text.trim().toLowerCase();
      if (is_txn_id(text)) open(text);
    }}>
      <label>
        Search{' '}
        <input id="q" type="search" value={filters.text} placeholder="id, group, node, message" onInput={(event) => set({ q: event.currentTarget.value })} />
      </label>
      {choice('state', 'State', filters.states.join(','), all_states)}
      <label>
        Slower than{' '}
        <input class="short" value={filters.slower} placeholder="200ms" aria-invalid={bad} onChange={(event) => set({ slower: event.currentTarget.value.trim() })} />
      </label>
      {choice('participant', 'Participant', filters.participant, values_of(all, (txn) => txn.participants))}
      {choice('reason', 'Reason', filters.reason, values_of(all, (txn) => [txn.reason]))}
      {choice('protocol', 'Protocol', filters.protocol, values_of(all, (txn) => [txn.protocol]))}
      {has_filters(filters) && (
        <button type="button" onClick={() => set({ q: '', state: '', slower: '', participant: '', reason: '', protocol: '' })}>Clear</button>
      )}
      {bad && <span role="alert">Write a duration like 200ms, 3s or 2m.</span>}
    </form>
  );
}

function NoTxns({ filters, loaded }: { filters: Filters; loaded: number }) {
  if (is_narrowed(filters) && loaded > 0) {
    return <Empty why={`None of the ${loaded} transactions on this page passes the filters.`} next="Search, participant, reason and protocol narrow down the page that is loaded; go to older pages or clear them. A whole transaction id and Enter opens that one." />;
  }
  if (has_filters(filters)) return <Empty why="No transaction that the nodes still remember passes the filters." next="Clear the filters, or ask for another state." />;
  if (filters.cursor !== '') return <Empty why="There are no older ones." next="A node remembers its newest transactions; older outcomes: assentctl txn get." />;
  return <Empty why="No node has seen a transaction since it started." next={<>Run some: <code>assentctl demo bank</code>, or <code>assentctl txn exec</code>.</>} />;
}

function Table({ txns }: { txns: readonly TxnSummary[] }) {
  // Logarithmic from a tenth of a millisecond: one that is stuck is not to flatten all others.
  const length = (txn: TxnSummary) => Math.log10(Math.max(1, num(txn.durationMicros) / 100));
  const longest = Math.max(...txns.map(length), 0.1);
  return (
    <div class="scroll">
      <table class="txns">
        <caption class="sr">Transactions, the newest first</caption>
        <thead>
          <tr><th>Id</th><th>State</th><th>Started</th><th>Duration</th><th>Protocol</th><th>Participants</th><th>Coordinator</th><th>Why</th></tr>
        </thead>
        <tbody>
          {txns.map((txn) => (
            <tr key={txn.txnId}>
              <td class="one-line"><TxnLink id={txn.txnId} /></td>
              <td><StateSign txn={txn} /></td>
              <td class="mono" title={iso(num(txn.startedUnixMicros))}>{clock(num(txn.startedUnixMicros), true)}</td>
              <td class="duration">
                <meter min={0} max={longest} value={length(txn)} aria-hidden="true" />
                <span>{duration(num(txn.durationMicros))}{txn.answered ? '' : '…'}</span>
              </td>
              <td class="one-line">{txn.protocol}</td>
              <td><Chips names={txn.participants} lead={txn.coordinator} /></td>
              <td>{txn.coordinator}@{txn.node}</td>
              <td class="why">{why_of(txn)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function why_of(txn: TxnSummary): string {
  const parts: string[] = [];
  if (txn.reason !== '') parts.push(txn.refusedBy === '' ? txn.reason : `${txn.reason} at ${txn.refusedBy}`);
  if (txn.message !== '') parts.push(txn.message);
  if (txn.recovered) parts.push('carried on by another leader');
  if (txn.repeats > 0) parts.push(`${txn.repeats} sent again`);
  return parts.join('; ');
}
