// The waterfall on the page: names on the left as elements that can be focused, bars on a canvas. Only the rows that
// are seen exist, in both, so that 2,000 spans scroll as 20 do.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useRepaint } from '../chart.js';
import { duration } from '../format.js';
import { useKeys } from '../keys.js';
import { draw, head_height, palette_of } from './draw.js';
import { fit, label_of, pan, row_at, row_height, rows_seen, to_micros, zoom, type Range, type Waterfall } from './layout.js';

interface Props {
  fall: Waterfall;
  critical: boolean;
  selected: string;
  select: (span_id: string) => void;
}

const tallest = 560;

export function WaterfallView({ fall, critical, selected, select }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [scroll_top, set_scroll_top] = useState(0);
  const [zoomed, set_zoomed] = useState<Range | null>(null); // null: all of it, also while it grows
  const repaint = useRepaint(box);
  const whole = fit(fall);
  const range = zoomed ?? whole;
  const height = Math.min(tallest, head_height + Math.max(3, fall.rows.length) * row_height + 40);
  const frame = useRef(0);
  useLayoutEffect(() => {
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => {
      const pen = canvas.current?.getContext('2d');
      if (!canvas.current || !box.current || !pen) return;
      const width = box.current.clientWidth;
      const scale = devicePixelRatio || 1;
      const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
      if (canvas.current.width !== w || canvas.current.height !== h) Object.assign(canvas.current, { width: w, height: h });
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      draw(pen, { fall, range, width, height, scroll_top, critical, selected, palette: palette_of(canvas.current) });
      canvas.current.dataset['rows'] = String(fall.rows.length);
    });
  }, [fall, range.from, range.to, scroll_top, critical, selected, repaint, height]);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);

  const nearer = (factor: number) => set_zoomed(zoom(range, (range.from + range.to) / 2, factor, whole));
  const step = (by: number) => {
    const at = fall.rows.findIndex((row) => row.span.spanId === selected);
    const next = Math.min(fall.rows.length - 1, Math.max(0, at + by));
    const row = fall.rows[next];
    if (!row || !scroller.current) return;
    select(row.span.spanId);
    const top = next * row_height;
    const room = height - head_height - row_height * 2;
    if (top < scroller.current.scrollTop) scroller.current.scrollTop = top;
    else if (top > scroller.current.scrollTop + room) scroller.current.scrollTop = top - room;
  };
  useKeys({ f: () => set_zoomed(null), '+': () => nearer(0.6), '-': () => nearer(1 / 0.6), j: () => step(1), k: () => step(-1) });

  const drag = useRef<{ x: number; range: Range; moved: boolean } | null>(null);
  const pointer = {
    onPointerDown: (event: PointerEvent) => {
      drag.current = { x: event.clientX, range, moved: false };
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
    },
    onPointerMove: (event: PointerEvent) => {
      if (!drag.current || !box.current) return;
      const by = event.clientX - drag.current.x;
      if (Math.abs(by) > 3) drag.current.moved = true;
      if (!drag.current.moved) return;
      const micros = (-by / box.current.clientWidth) * (range.to - range.from);
      set_zoomed(pan(drag.current.range, micros, whole));
    },
    onPointerUp: (event: PointerEvent) => {
      const moved = drag.current?.moved ?? true;
      drag.current = null;
      const row = moved || event.offsetY < head_height ? null : row_at(event.offsetY - head_height, scroll_top, fall.rows.length);
      const hit = row === null ? undefined : fall.rows[row];
      if (hit) select(hit.span.spanId);
    },
    onPointerCancel: () => (drag.current = null),
  };
  // Not passive: Ctrl and the wheel would zoom the page as well.
  const wheel = useRef<(event: WheelEvent) => void>(() => undefined);
  wheel.current = (event) => {
    if (!event.ctrlKey || !canvas.current) return;
    event.preventDefault();
    const around = to_micros(event.offsetX, range, canvas.current.clientWidth);
    set_zoomed(zoom(range, around, event.deltaY > 0 ? 1.25 : 0.8, whole));
  };
  useEffect(() => {
    const listen = (event: WheelEvent) => wheel.current(event);
    const element = canvas.current;
    element?.addEventListener('wheel', listen, { passive: false });
    return () => element?.removeEventListener('wheel', listen);
  }, []);

  const seen = rows_seen(scroll_top, height - head_height, fall.rows.length);
  const rows_tall = fall.rows.length * row_height;
  return (
    <div class="waterfall" ref={scroller} style={{ height: `${height}px` }} onScroll={(event) => set_scroll_top(event.currentTarget.scrollTop)}>
      <div class="extent" style={{ height: `${rows_tall + head_height + 40}px` }}>
        <div class="stage" style={{ height: `${height}px` }}>
          <div class="names">
            <div class="corner" style={{ height: `${head_height}px` }}>
              <button type="button" onClick={() => set_zoomed(null)} disabled={zoomed === null} aria-label="Fit: all of it">Fit</button>
              <button type="button" onClick={() => nearer(0.6)} aria-label="Nearer">+</button>
              <button type="button" onClick={() => nearer(1 / 0.6)} aria-label="Farther">−</button>
            </div>
            <div role="listbox" aria-label={`Spans, ${fall.rows.length} rows`}>
              {fall.rows.slice(seen.first, seen.last).map((row, i) => {
                const at = seen.first + i;
                const says = `${label_of(row.span)} ${row.span.group}, ${duration(row.to - row.from)}${row.span.open ? ', goes on' : ''}`;
                return (
                  <button
                    type="button"
                    role="option"
                    key={at}
                    class="name"
                    aria-selected={row.span.spanId === selected}
                    aria-setsize={fall.rows.length}
                    aria-posinset={at + 1}
                    aria-label={says}
                    title={says}
                    style={{ top: `${head_height + at * row_height - scroll_top}px`, paddingLeft: `${6 + Math.min(10, row.depth) * 12}px` }}
                    onClick={() => select(row.span.spanId)}
                  >
                    <i class={`swatch group-${Math.max(0, fall.groups.indexOf(row.span.group)) % 8}`} />
                    {label_of(row.span)} <b>{row.span.group}</b>
                  </button>
                );
              })}
            </div>
          </div>
          <div class="bars" ref={box}>
            <canvas ref={canvas} role="img" aria-label="Waterfall of the transaction's spans; the names beside it and the table say the same" {...pointer} />
          </div>
        </div>
      </div>
    </div>
  );
}
