// Charts over time: rates by uPlot, and a duration-by-time scatter that opens what is clicked.

import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { num, type TxnSummary } from './api.js';
import { clock, duration, rate } from './format.js';
import type { Sample } from './rates.js';
import { tone_of, tones } from './states.js';

function colour(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(name).trim() || '#888';
}

// Counts the changes of theme and width: what is painted on a canvas has to be painted again.
export function useRepaint(box: { current: HTMLElement | null }): number {
  const [turn, set_turn] = useState(0);
  useEffect(() => {
    const again = () => set_turn((n) => n + 1);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const watch = new ResizeObserver(again);
    if (box.current) watch.observe(box.current);
    scheme.addEventListener('change', again);
    window.addEventListener('assent-theme', again);
    return () => {
      watch.disconnect();
      scheme.removeEventListener('change', again);
      window.removeEventListener('assent-theme', again);
    };
  }, []);
  return turn;
}

function options_of(box: HTMLElement): uPlot.Options {
  const axis = { stroke: colour(box, '--muted'), grid: { stroke: colour(box, '--line'), width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(120, box.clientWidth),
    height: 190,
    legend: { live: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
    axes: [
      { ...axis, values: (_, at) => at.map((second) => clock(second * 1e6)), space: 90, incrs: [1, 2, 5, 10, 15, 30, 60, 120] },
      { ...axis, values: (_, at) => at.map((value) => rate(value)), size: 54 },
    ],
    series: [
      {},
      { label: '✓ commits/s', stroke: colour(box, '--committed'), width: 2, points: { show: false } },
      { label: '✕ aborts/s (dashed)', stroke: colour(box, '--fault'), width: 2, dash: [5, 4], points: { show: false } },
    ],
  };
}

export function RateChart({ samples }: { samples: readonly Sample[] }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const repaint = useRepaint(box);
  const data: uPlot.AlignedData = [
    samples.map((sample) => sample.at / 1e6),
    samples.map((sample) => sample.commits),
    samples.map((sample) => sample.aborts),
  ];
  useEffect(() => {
    if (box.current === null) return;
    plot.current?.destroy();
    plot.current = new uPlot(options_of(box.current), data, box.current);
  }, [repaint]);
  useEffect(() => plot.current?.setData(data), [samples]);
  useEffect(() => () => plot.current?.destroy(), []);
  const last = samples.at(-1);
  const says = last ? `${rate(last.commits)} commits and ${rate(last.aborts)} aborts in the last second` : 'no samples yet';
  return <div class="chart" ref={box} role="img" aria-label={`Commits and aborts per second over the last five minutes: ${says}`} />;
}

const scatter_height = 130;
const left = 54;
const below = 18;

interface Dot {
  x: number;
  y: number;
  txn: TxnSummary;
}

function dots_of(txns: readonly TxnSummary[], width: number): { dots: Dot[]; powers: number[]; y_of: (micros: number) => number } {
  const times = txns.map((txn) => num(txn.startedUnixMicros));
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const spans = txns.map((txn) => Math.max(100, num(txn.durationMicros)));
  const low = Math.floor(Math.log10(Math.min(...spans)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...spans))));
  const y_of = (micros: number) => 8 + (1 - (Math.log10(micros) - low) / (high - low)) * (scatter_height - below - 16);
  const x_of = (at: number) => left + 8 + (to > from ? (at - from) / (to - from) : 0.5) * (width - left - 20);
  const dots = txns.map((txn, i) => ({ x: x_of(times[i] ?? from), y: y_of(spans[i] ?? 100), txn }));
  return { dots, powers: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)), y_of };
}

// Duration (logarithmic) by start. The table below it says the same to who cannot see it.
export function Scatter({ txns, open }: { txns: readonly TxnSummary[]; open: (id: string) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const dots = useRef<Dot[]>([]);
  const repaint = useRepaint(box);
  useEffect(() => {
    const pen = canvas.current?.getContext('2d');
    if (!canvas.current || !box.current || !pen || txns.length === 0) return;
    const width = box.current.clientWidth;
    const scale = devicePixelRatio || 1;
    canvas.current.width = width * scale;
    canvas.current.height = scatter_height * scale;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const made = dots_of(txns, width);
    dots.current = made.dots;
    pen.font = '11px system-ui, sans-serif';
    pen.fillStyle = colour(box.current, '--muted');
    pen.strokeStyle = colour(box.current, '--line');
    for (const power of made.powers) {
      const y = Math.round(made.y_of(power)) + 0.5;
      pen.beginPath();
      pen.moveTo(left, y);
      pen.lineTo(width, y);
      pen.stroke();
      pen.fillText(duration(power), 0, y + 4);
    }
    const first = made.dots.reduce((a, b) => (a.x <= b.x ? a : b));
    const last = made.dots.reduce((a, b) => (a.x >= b.x ? a : b));
    pen.fillText(clock(num(first.txn.startedUnixMicros)), left, scatter_height - 4);
    pen.fillText(clock(num(last.txn.startedUnixMicros)), Math.max(left + 60, width - 52), scatter_height - 4);
    pen.textAlign = 'center';
    for (const dot of made.dots) {
      const tone = tone_of(dot.txn);
      pen.fillStyle = colour(box.current, `--${tone === 'neutral' ? 'muted' : tone}`);
      pen.fillText(tones[tone].sign, dot.x, dot.y + 4);
    }
    pen.textAlign = 'start';
  }, [txns, repaint]);
  const clicked = (event: MouseEvent) => {
    const near = dots.current
      .map((dot) => ({ dot, far: Math.hypot(dot.x - event.offsetX, dot.y - event.offsetY) }))
      .sort((a, b) => a.far - b.far)[0];
    if (near && near.far < 14) open(near.dot.txn.txnId);
  };
  return (
    <div class="chart" ref={box}>
      <canvas ref={canvas} class="scatter" onClick={clicked} role="img" aria-label="Durations of the listed transactions by their start; the table below lists the same" />
    </div>
  );
}
