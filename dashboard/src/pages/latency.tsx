// Where the time goes, over time: a strip for all of a transaction and for each phase. A rectangle drawn on a strip, or
// chosen below, lists the transactions in it.

import { useEffect, useRef, useState } from 'preact/hooks';
import { num, paths, type LatencyPage as Counted, type TxnPage } from '../api.js';
import { useRepaint } from '../chart.js';
import { clock, count, duration } from '../format.js';
import {
  all_time, bounds, heat_of, parse_pick, pick_of, print_pick, query_of, rows, slowest, strip_names, type Heat, type Pick, type Strip,
} from '../heat.js';
import { step_focus, useKeys } from '../keys.js';
import { usePoll } from '../live.js';
import { Empty, Loading, Panel, StateSign, TxnLink } from '../ui.js';
import { with_params, type View } from '../url.js';

const windows = ['1m', '10m', '1h', '6h'] as const;
const columns = 60;
const listed_most = 200;
const row_height = 6;
const left = 58;

// "1790000000000000-1790000060000000": the times that the picture shows, so that what is picked from stays.
function shown_of(text: string | undefined): { from: string; to: string } | null {
  const found = /^(\d{1,16})-(\d{1,16})$/.exec(text ?? '');
  return found?.[1] === undefined || found[2] === undefined ? null : { from: found[1], to: found[2] };
}

export function LatencyPage({ view, go }: { view: View; go: (view: View) => void }) {
  const pick = parse_pick(view.params['pick']);
  const shown = shown_of(view.params['shown']);
  const span = windows.find((one) => one === view.params['window']) ?? '1m';
  const [stopped, set_stopped] = useState(false);
  const paused = stopped || pick !== null || shown !== null;
  const asked = shown === null ? `window=${span}` : `from=${shown.from}&to=${shown.to}`;
  const { data, error } = usePoll<Counted>(paths.latency(`${asked}&columns=${columns}`), 2_000, paused);
  const set = (changes: Record<string, string>) => go(with_params(view, changes));
  const heat = data === null ? null : heat_of(data);
  // What is picked from stays as it is.
  const choose = (made: Pick | null) => {
    if (made === null || heat === null) return set({ pick: '', shown: '' });
    set({ pick: print_pick(made), shown: `${heat.from}-${heat.from + heat.columns * heat.width}` });
  };
  useKeys({
    j: () => step_focus('table.txns td a', 1),
    k: () => step_focus('table.txns td a', -1),
    p: () => set_stopped(!stopped),
  });
  return (
    <>
      <h1>Latency</h1>
      <Panel
        title="Transactions by start and by how long"
        at={data?.asOfUnixMicros}
        live={!paused}
        error={error}
        unreachable={data?.unreachable}
        tools={
          <span class="tools">
            <label>
              Last{' '}
              <select value={span} disabled={shown !== null} onChange={(event) => set({ window: event.currentTarget.value })}>
                {windows.map((one) => <option key={one}>{one}</option>)}
              </select>
            </label>
            <button type="button" aria-pressed={paused} disabled={pick !== null || shown !== null} onClick={() => set_stopped(!stopped)}>
              {paused ? '▶ Go on' : '‖ Pause'}
            </button>
          </span>
        }
      >
        {data === null && !error && <Loading />}
        {heat !== null && heat.strips.length === 0 && (
          <Empty
            why="No transaction that the nodes remember began in this time."
            next={<>Choose a longer time, or run some: <code>assentctl demo bank</code>.</>}
          />
        )}
        {heat?.strips.map((strip) => <StripView key={strip.name} heat={heat} strip={strip} pick={pick} set={choose} />)}
        {heat !== null && heat.strips.length > 0 && <PickForm pick={pick} set={choose} />}
        <p class="note" role="status">
          {data !== null && `${count(num(data.transactions))} transactions. Each node remembers as many of the newest as trace.ring says.`}
        </p>
      </Panel>
      {pick !== null && <Picked pick={pick} />}
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

function Picked({ pick }: { pick: Pick }) {
  const { data, error } = usePoll<TxnPage>(paths.txns(query_of(pick, listed_most)), 2_000, true);
  const txns = slowest(data?.txns ?? [], pick.strip);
  return (
    <Panel
      title={`Picked: ${pick.strip} ${range(pick.low, pick.high)}`}
      at={data?.asOfUnixMicros}
      live={false}
      error={error}
      unreachable={data?.unreachable}
    >
      {data === null && !error && <Loading />}
      {data !== null && txns.length === 0 && (
        <Empty why="None of the transactions that the nodes remember is in there." next="Draw another rectangle, or choose a wider range." />
      )}
      {txns.length > 0 && (
        <div class="scroll tall">
          <table class="txns">
            <caption class="sr">The transactions that were picked, the slowest first</caption>
            <thead>
              <tr><th>Id</th><th>State</th><th>Started</th><th class="number">{pick.strip}</th><th class="number">Duration</th><th>Protocol</th><th>Participants</th></tr>
            </thead>
            <tbody>
              {txns.map(({ txn, micros }) => (
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
      {data !== null && data.nextCursor !== '' && <p class="note">There are more: of these, the {txns.length} newest are listed. A smaller rectangle has fewer.</p>}
    </Panel>
  );
}
