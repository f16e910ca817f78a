// One transaction: what became of it, where its time went, which group it waited for, and why.

import { useMemo } from 'preact/hooks';
import { num, paths, type Explanation, type TxnSpan, type TxnTrace } from '../api.js';
import { duration, iso, percent } from '../format.js';
import { useKeys } from '../keys.js';
import { usePoll } from '../live.js';
import { tone_of } from '../states.js';
import { Chips, Command, Empty, Loading, Panel, StateSign } from '../ui.js';
import { link, with_params, type View } from '../url.js';
import { label_of, lay_out, type Row, type Waterfall } from '../waterfall/layout.js';
import { WaterfallView } from '../waterfall/view.js';
import { Sights } from './in_doubt.js';

interface Props {
  view: View;
  go: (view: View) => void;
}

const over = (trace: TxnTrace) => trace.summary.state === 'COMMITTED' || trace.summary.state === 'ABORTED';
// Of a transaction that is over the last steps may still be on their way.
const complete = (trace: TxnTrace) => over(trace) && !trace.spans.some((span) => span.open);

export function TransactionPage({ view, go }: Props) {
  const { data: trace, error } = usePoll<TxnTrace>(paths.txn(view.id), 1_500, false, complete);
  const align = view.params['aligned'] === '1';
  const fall = useMemo(() => (trace ? lay_out(trace, align) : null), [trace, align]);
  if (trace === null || fall === null) return <Missing id={view.id} status={error?.status} why={error?.message} />;
  return (
    <>
      <Header trace={trace} />
      <Phases trace={trace} fall={fall} error={error} view={view} go={go} />
      {!over(trace) && <Waiting id={view.id} />}
      <p class="note">
        Started {iso(num(trace.summary.startedUnixMicros))}.{' '}
        {num(trace.stepsLost) > 0 && `${trace.stepsLost} steps were more than a record may hold and are missing. `}
        <a href={`./api/v1/${paths.txn(view.id)}`}>Raw JSON</a> ·{' '}
        <a href={`./api/v1/${paths.otlp(view.id)}`} download={`${view.id}.otlp.json`}>OTLP JSON (for Jaeger or Tempo)</a>
      </p>
    </>
  );
}

function Missing({ id, status, why }: { id: string; status: number | undefined; why: string | undefined }) {
  return (
    <>
      <h1>Transaction</h1>
      <p class="mono">{id}</p>
      {why === undefined ? (
        <Loading />
      ) : (
        <Empty
          why={why}
          next={
            status === 404 ? (
              <>Nodes remember their newest transactions only. Its outcome is kept longer: <code>assentctl txn get {id}</code></>
            ) : (
              <a href={link('txns')}>Back to the list</a>
            )
          }
        />
      )}
    </>
  );
}

function Header({ trace }: { trace: TxnTrace }) {
  const txn = trace.summary;
  const total = num(trace.totalMicros);
  return (
    <div class={`txn-head tone-border-${tone_of(txn)}`}>
      <h1><StateSign txn={txn} /> <span>{duration(total)}{txn.answered ? '' : ' so far'}</span></h1>
      <p class="why">{trace.why}</p>
      <dl class="facts">
        <dt>Id</dt><dd class="mono">{txn.txnId}</dd>
        {trace.traceId !== txn.txnId && <><dt>Trace</dt><dd class="mono">{trace.traceId}</dd></>}
        <dt>Protocol</dt><dd>{txn.protocol}{txn.mode ? `, ${txn.mode}` : ''}</dd>
        <dt>Coordinator</dt><dd>{txn.coordinator} at {txn.node}{txn.recovered ? ', carried on by a leader that had not begun it' : ''}</dd>
        <dt>Participants</dt><dd><Chips names={txn.participants} lead={trace.delayedBy} /></dd>
        <dt>Delayed by</dt><dd>{trace.delayedBy === '' ? 'no group alone' : trace.delayedBy}</dd>
        {txn.reason !== '' && <><dt>Reason</dt><dd>{txn.reason}{txn.refusedBy ? `, said by ${txn.refusedBy}` : ''}{txn.message ? `: ${txn.message}` : ''}</dd></>}
        {txn.repeats > 0 && <><dt>Sent again</dt><dd>{txn.repeats} messages</dd></>}
      </dl>
      <Command text={`assentctl txn trace ${txn.txnId}`} />
    </div>
  );
}

const spans_of = (n: number) => (n === 1 ? '1 span' : `${n} spans`);

interface PhasesProps extends Props {
  trace: TxnTrace;
  fall: Waterfall;
  error: Parameters<typeof Panel>[0]['error'];
}
function Phases({ trace, fall, error, view, go }: PhasesProps) {
  const { params } = view;
  const flag = (name: string) => params[name] === '1';
  const toggle = (name: string) => go(with_params(view, { [name]: flag(name) ? '' : '1' }));
  useKeys({ c: () => toggle('critical'), a: () => toggle('aligned'), t: () => toggle('table'), Escape: () => go(with_params(view, { span: '' })) });
  const odd = fall.rows.filter((row) => row.span.outsideParent).length;
  const button = (name: string, text: string) => (
    <button type="button" aria-pressed={flag(name)} onClick={() => toggle(name)}>{text}</button>
  );
  const selected = fall.rows.find((row) => row.span.spanId === params['span']);
  const select = (span: string) => go(with_params(view, { span }));
  return (
    <Panel
      title="Waterfall"
      at={trace.asOfUnixMicros}
      live={!complete(trace)}
      error={error ?? null}
      unreachable={trace.unreachable}
      tools={<span class="tools">{button('critical', 'Critical path')}{button('aligned', 'Aligned clocks')}{button('table', 'As a table')}</span>}
    >
      <Bands fall={fall} />
      {odd > 0 && (
        <p class="notice">
          {flag('aligned')
            ? `⇄ ${spans_of(odd)} moved into the parent's bar. This is a guess: the nodes' clocks differ.`
            : `⚠ ${spans_of(odd)} outside the parent's bar: the nodes' clocks differ. Shown as recorded; Aligned clocks moves what is outside.`}
        </p>
      )}
      {fall.rows.length === 0 ? (
        <Empty why="No node has recorded a step of it." next="The node that coordinated it has started again or has forgotten it." />
      ) : (
        <div class="fall">
          {flag('table') ? <SpanTable rows={fall.rows} select={select} /> : (
            <WaterfallView fall={fall} critical={flag('critical')} selected={params['span'] ?? ''} select={select} />
          )}
          {selected && <Side row={selected} id={trace.summary.txnId} close={() => select('')} />}
        </div>
      )}
      <p class="note legend">
        <span>▂ queue</span> <span>█ fsync</span> <span>▄ replicate and apply</span> <span>▨ waits for locks</span>{' '}
        <span>… goes on</span> <span>↻ sent again</span> <span>⚠ outside its parent</span>{' '}
        <span class="tone-committed">┃ commit point{fall.commit_point === null ? ': not reached or not recorded' : ` at ${duration(fall.commit_point)}`}</span>{' '}
        <span class="tone-live">┊ client answered{fall.answered === null ? ': not yet or not recorded' : ` at ${duration(fall.answered)}`}</span>
      </p>
    </Panel>
  );
}

function Bands({ fall }: { fall: Waterfall }) {
  const until = fall.answered ?? fall.end;
  return (
    <ol class="bands" aria-label="Phases">
      {fall.bands.map((band) => (
        <li key={band.phase}>
          <i class={`swatch phase-${band.phase}`} /> {band.phase} <b>{duration(band.to - band.from)}</b>{' '}
          {band.share === null ? <span class="note">behind the answer</span> : percent(band.to - band.from, until)}
          {band.open ? ' goes on' : ''}
        </li>
      ))}
    </ol>
  );
}

function SpanTable({ rows, select }: { rows: readonly Row[]; select: (id: string) => void }) {
  return (
    <div class="scroll tall">
      <table>
        <caption class="sr">Spans, parents before children</caption>
        <thead><tr><th>Span</th><th>Group</th><th>Node</th><th class="number">Start</th><th class="number">Duration</th><th>Verdict</th><th>Critical</th></tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.span.spanId}>
              <td><span class="indent" aria-hidden="true">{'· '.repeat(row.depth)}</span><button type="button" class="plain" onClick={() => select(row.span.spanId)}>{label_of(row.span)}</button></td>
              <td>{row.span.group}</td><td>{row.span.node}</td>
              <td class="number">{duration(row.from)}</td>
              <td class="number">{duration(row.to - row.from)}{row.span.open ? '…' : ''}</td>
              <td>{row.span.verdict}</td><td>{row.span.critical ? 'yes' : ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Side({ row, id, close }: { row: Row; id: string; close: () => void }) {
  const span: TxnSpan = row.span;
  const facts: [string, string][] = [
    ['Group', span.group],
    ['Recorded by', span.node],
    ['Start', duration(num(span.startMicros))],
    ['Duration', duration(num(span.durationMicros)) + (span.open ? ', goes on' : '')],
    ['Verdict', span.verdict],
    ['Sent again', span.repeats > 0 ? String(span.repeats) : ''],
    ['Log entry', num(span.index) > 0 ? `${span.group}#${span.index}` : ''],
    ['Queue', span.queuedMicros > 0 ? duration(span.queuedMicros) : ''],
    ['Fsync', span.syncedMicros > 0 ? duration(span.syncedMicros) : ''],
    ['Replicate and apply', span.replicatedMicros > 0 ? duration(span.replicatedMicros) : ''],
    ['Critical path', span.critical ? 'the client waited for it' : 'no'],
    ['Outside its parent', span.outsideParent ? `yes${row.shifted ? `, moved by ${duration(row.shifted)}` : ''}` : ''],
    ['Span id', span.spanId],
  ];
  return (
    <aside aria-label="The selected span">
      <header><h3>{span.name}</h3><button type="button" onClick={close} aria-label="Close the side panel">✕</button></header>
      <dl class="facts">
        {facts.filter(([, value]) => value !== '').flatMap(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`}>{value}</dd>])}
      </dl>
      <Command text={`assentctl txn trace ${id}`} />
      <Command text={`assentctl txn explain ${id}`} />
    </aside>
  );
}

function Waiting({ id }: { id: string }) {
  const { data, error } = usePoll<Explanation>(paths.explain(id), 2_000);
  return (
    <Panel title="What it waits for" at={data?.asOfUnixMicros} error={error} unreachable={data?.unreachable}>
      {data && <p class="why">{data.why}</p>}
      {data && data.sights.length > 0 && <Sights sights={data.sights} />}
      <Command text={`assentctl txn explain ${id}`} />
    </Panel>
  );
}
