// Where the time goes, over time: a strip for all of a transaction and for each phase. A rectangle drawn on a strip, or
// chosen below, lists the transactions in it.

import { useEffect, useRef, useState } from 'preact/hooks';
import { num, paths, type TxnPage } from '../api.js';
import { useRepaint } from '../chart.js';
import { clock, duration } from '../format.js';
import { bounds, heat_of, parse_pick, pick_of, picked, print_pick, rows, strip_names, type Heat, type Pick, type Strip } from '../heat.js';
import { step_focus, useKeys } from '../keys.js';
import { usePoll } from '../live.js';
import { Empty, Loading, Panel, StateSign, TxnLink } from '../ui.js';
import { with_params, type View } from '../url.js';

const columns = 60;
const listed_most = 200;
const row_height = 6;
const left = 58;
const all_time = { from: 0, to: 9_999_999_999_999_999 };

export function LatencyPage({ view, go }: { view: View; go: (view: View) => void }) {
  const pick = parse_pick(view.params['pick']);
  const cursor = view.params['cursor'] ?? '';
  const [stopped, set_stopped] = useState(false);
  const paused = stopped || pick !== null || cursor !== ''; // what is picked from stays
  const { data, error } = usePoll<TxnPage>(paths.phases(cursor), 2_000, paused);
  const set = (changes: Record<string, string>) => go(with_params(view, changes));
  const txns = data?.txns ?? [];
  const heat = heat_of(txns, columns);
  useKeys({
    j: () => step_focus('table.txns td a', 1),
    k: () => step_focus('table.txns td a', -1),
    p: () => set_stopped(!stopped),
  });
  return (
    <>
      <h1>Latency</h1>
      <Panel
        title={cursor === '' ? 'The newest transactions, by start and by how long' : 'Older transactions, by start and by how long'}
        at={data?.asOfUnixMicros}
        live={!paused}
        error={error}
        unreachable={data?.unreachable}
        tools={
          <button type="button" aria-pressed={paused} disabled={pick !== null || cursor !== ''} onClick={() => set_stopped(!stopped)}>
            {paused ? '▶ Go on' : '‖ Pause'}
          </button>
        }
      >
        {data === null && !error && <Loading />}
        {data !== null && txns.length === 0 && (
          <Empty why="No node has seen a transaction since it started." next={<>Run some: <code>assentctl demo bank</code>.</>} />
        )}
        {heat.strips.map((strip) => (
          <StripView key={strip.name} heat={heat} strip={strip} pick={pick} set={(made) => set({ pick: print_pick(made) })} />
        ))}
        {heat.strips.length > 0 && <PickForm pick={pick} set={(made) => set({ pick: made === null ? '' : print_pick(made) })} />}
        <div class="pager">
          <span role="status">{data !== null && `${txns.length} transactions`}</span>
          {cursor !== '' && <button type="button" onClick={() => set({ cursor: '', pick: '' })}>« Newest</button>}
          {data !== null && data.nextCursor !== '' && (
            <button type="button" onClick={() => set({ cursor: data.nextCursor, pick: '' })}>Older »</button>
          )}
        </div>
      </Panel>
      {pick !== null && data !== null && <Picked txns={picked(txns, pick)} pick={pick} />}
    </>
  );
}

interface StripProps {
  heat: Heat;
  strip: Strip;
  pick: Pick | null;
  set: (pick: Pick) => void;
}
function StripView({ heat, strip, pick, set }: StripProps) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const begun = useRef<{ column: number; row: number } | null>(null);
  const [draft, set_draft] = useState<Pick | null>(null);
  const repaint = useRepaint(box);
  const height = rows * row_height + 16;
  const cell = (event: PointerEvent) => {
    const width = Math.max(1, (canvas.current?.clientWidth ?? 1) - left);
    const column = Math.floor(((event.offsetX - left) / width) * columns);
    const row = rows - 1 - Math.floor(event.offsetY / row_height);
    return { column: Math.min(columns - 1, Math.max(0, column)), row: Math.min(rows - 1, Math.max(0, row)) };
  };
  const marked = draft ?? (pick?.strip === strip.name ? pick : null);
  useEffect(() => {
    const pen = canvas.current?.getContext('2d');
    if (!canvas.current || !box.current || !pen) return;
    const width = box.current.clientWidth;
    const scale = devicePixelRatio || 1;
    canvas.current.width = width * scale;
    canvas.current.height = height * scale;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    paint(pen, box.current, width, heat, strip, marked);
  }, [heat, strip, marked, repaint]);
  return (
    <div class="chart" ref={box}>
      <h3>{strip.name}</h3>
      <canvas
        ref={canvas}
        class="heat"
        style={{ height: `${height}px` }}
        role="img"
        aria-label={`How long ${strip.name === 'total' ? 'transactions' : strip.name} took, by start: ${said(strip)}. The form below picks from it`}
        onPointerDown={(event) => {
          canvas.current?.setPointerCapture(event.pointerId);
          begun.current = cell(event);
          set_draft(pick_of(heat, strip.name, begun.current, begun.current));
        }}
        onPointerMove={(event) => begun.current && set_draft(pick_of(heat, strip.name, begun.current, cell(event)))}
        onPointerUp={(event) => {
          if (begun.current) set(pick_of(heat, strip.name, begun.current, cell(event)));
          begun.current = null;
          set_draft(null);
        }}
        onPointerCancel={() => ((begun.current = null), set_draft(null))}
      />
    </div>
  );
}

function said(strip: Strip): string {
  const of_row = Array.from({ length: rows }, (_, row) => strip.cells.reduce((sum, count, at) => (at % rows === row ? sum + count : sum), 0));
  const commonest = of_row.indexOf(Math.max(...of_row));
  return `most of them ${range(commonest, commonest)}`;
}

function range(low: number, high: number): string {
  const above = low === 0 ? null : bounds[low - 1];
  const upto = bounds[high];
  if (upto === undefined) return above === null || above === undefined ? 'of any length' : `above ${duration(above)}`;
  return above === null || above === undefined ? `up to ${duration(upto)}` : `above ${duration(above)}, up to ${duration(upto)}`;
}

function paint(pen: CanvasRenderingContext2D, box: Element, width: number, heat: Heat, strip: Strip, marked: Pick | null): void {
  const style = getComputedStyle(box);
  const colour = (name: string) => style.getPropertyValue(name).trim() || '#888';
  const cell_width = (width - left) / heat.columns;
  const y_of = (row: number) => (rows - 1 - row) * row_height;
  pen.clearRect(0, 0, width, rows * row_height + 16);
  pen.font = '11px system-ui, sans-serif';
  pen.fillStyle = colour('--muted');
  pen.strokeStyle = colour('--line');
  for (let row = 2; row < bounds.length; row += 4) {
    const y = y_of(row) + 0.5;
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(width, y);
    pen.stroke();
    pen.fillText(duration(bounds[row] ?? 0), 0, y + 4);
  }
  pen.fillText(clock(heat.from), left, rows * row_height + 12);
  pen.textAlign = 'end';
  pen.fillText(clock(heat.from + heat.columns * heat.width), width, rows * row_height + 12);
  pen.textAlign = 'start';
  // A lone transaction is to be seen beside thousands: the strength goes by the logarithm.
  pen.fillStyle = colour('--accent');
  strip.cells.forEach((count, at) => {
    if (count === 0) return;
    pen.globalAlpha = 0.3 + 0.7 * (strip.most === 1 ? 1 : Math.log(count) / Math.log(strip.most));
    pen.fillRect(left + Math.floor(at / rows) * cell_width, y_of(at % rows), Math.max(1.5, cell_width - 0.5), row_height - 1);
  });
  pen.globalAlpha = 1;
  if (marked === null) return;
  const from = Math.max(0, (marked.from - heat.from) / heat.width);
  const to = Math.min(heat.columns, (marked.to + 1 - heat.from) / heat.width);
  pen.strokeStyle = colour('--text');
  pen.lineWidth = 2;
  pen.strokeRect(left + from * cell_width, y_of(marked.high), Math.max(2, (to - from) * cell_width), (marked.high - marked.low + 1) * row_height);
  pen.lineWidth = 1;
}

function PickForm({ pick, set }: { pick: Pick | null; set: (pick: Pick | null) => void }) {
  const now = pick ?? { strip: 'total' as const, ...all_time, low: 0, high: rows - 1 };
  const choose = (changes: Partial<Pick>) => {
    const made = { ...now, ...changes };
    set({ ...made, low: Math.min(made.low, made.high), high: Math.max(made.low, made.high) });
  };
  const lengths = Array.from({ length: rows }, (_, row) => row);
  return (
    <form class="filters" aria-label="Pick transactions" onSubmit={(event) => event.preventDefault()}>
      <label>
        Pick by{' '}
        <select value={now.strip} onChange={(event) => choose({ strip: strip_names.find((name) => name === event.currentTarget.value) ?? 'total' })}>
          {strip_names.map((name) => <option key={name}>{name}</option>)}
        </select>
      </label>
      <label>
        above{' '}
        <select value={now.low} onChange={(event) => choose({ low: Number(event.currentTarget.value) })}>
          {lengths.map((row) => <option key={row} value={row}>{row === 0 ? '0' : duration(bounds[row - 1] ?? 0)}</option>)}
        </select>
      </label>
      <label>
        up to{' '}
        <select value={now.high} onChange={(event) => choose({ high: Number(event.currentTarget.value) })}>
          {lengths.map((row) => <option key={row} value={row}>{bounds[row] === undefined ? 'any' : duration(bounds[row] ?? 0)}</option>)}
        </select>
      </label>
      {pick !== null && <button type="button" onClick={() => set(null)}>Clear</button>}
      <span class="note">or draw a rectangle on a strip</span>
    </form>
  );
}

function Picked({ txns, pick }: { txns: ReturnType<typeof picked>; pick: Pick }) {
  return (
    <Panel title={`${txns.length} picked: ${pick.strip} ${range(pick.low, pick.high)}`} at={undefined} live={false}>
      {txns.length === 0 && <Empty why="None of the transactions above is in there." next="Draw another rectangle, or choose a wider range." />}
      {txns.length > 0 && (
        <div class="scroll tall">
          <table class="txns">
            <caption class="sr">The transactions that were picked, the slowest first</caption>
            <thead>
              <tr><th>Id</th><th>State</th><th>Started</th><th class="number">{pick.strip}</th><th class="number">Duration</th><th>Protocol</th><th>Participants</th></tr>
            </thead>
            <tbody>
              {txns.slice(0, listed_most).map(({ txn, micros }) => (
                <tr key={txn.txnId}>
                  <td class="one-line"><TxnLink id={txn.txnId} /></td>
                  <td><StateSign txn={txn} /></td>
                  <td class="mono">{clock(num(txn.startedUnixMicros), true)}</td>
                  <td class="number">{duration(micros)}</td>
                  <td class="number">{duration(num(txn.durationMicros))}</td>
                  <td class="one-line">{txn.protocol}</td>
                  <td>{txn.participants.join(' ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {txns.length > listed_most && <p class="note">The {listed_most} slowest are listed.</p>}
    </Panel>
  );
}
