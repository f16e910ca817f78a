// Paints what layout.ts laid out on a canvas: the phase band, grid, bars, lines. Draws the rows that are seen, nothing
// else, so that thousands of spans cost no more than a screen of them. Colours come from the style sheet's variables.

import { duration } from '../format.js';
import { row_height, rows_seen, ticks, to_x, type Range, type Row, type Segment, type Waterfall } from './layout.js';

export const axis_height = 22;
export const band_height = 26;
export const head_height = axis_height + band_height;
export const group_colours = 8;

export interface Palette {
  text: string;
  muted: string;
  grid: string;
  panel: string;
  accent: string;
  answer: string;
  commit: string;
  warn: string;
  bands: Record<string, string>;
  groups: string[];
}

export function palette_of(element: Element): Palette {
  const style = getComputedStyle(element);
  const value = (name: string) => style.getPropertyValue(name).trim() || '#888';
  const phases = ['execute', 'prepare', 'precommit', 'decide', 'commit', 'abort'];
  return {
    text: value('--text'),
    muted: value('--muted'),
    grid: value('--line'),
    panel: value('--panel'),
    accent: value('--accent'),
    answer: value('--live'),
    commit: value('--committed'),
    warn: value('--doubt'),
    bands: Object.fromEntries(phases.map((phase) => [phase, value(`--phase-${phase}`)])),
    groups: Array.from({ length: group_colours }, (_, i) => value(`--group-${i}`)),
  };
}

export interface Picture {
  fall: Waterfall;
  range: Range;
  width: number;
  height: number;
  scroll_top: number;
  critical: boolean; // the overlay: what the client did not wait for fades
  selected: string; // span id
  palette: Palette;
}

type Pen = CanvasRenderingContext2D;

export function draw(pen: Pen, picture: Picture): void {
  const { width, height, palette } = picture;
  pen.clearRect(0, 0, width, height);
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  draw_axis(pen, picture);
  draw_band(pen, picture);
  pen.save();
  pen.beginPath();
  pen.rect(0, head_height, width, height - head_height);
  pen.clip();
  const seen = rows_seen(picture.scroll_top, height - head_height, picture.fall.rows.length);
  for (let i = seen.first; i < seen.last; ++i) {
    const row = picture.fall.rows[i];
    if (row) draw_row(pen, picture, row, head_height + i * row_height - picture.scroll_top);
  }
  pen.restore();
  draw_line(pen, picture, picture.fall.commit_point, palette.commit, [], 'commit point');
  draw_line(pen, picture, picture.fall.answered, palette.answer, [3, 3], 'client answered');
}

function draw_axis(pen: Pen, { range, width, height, palette }: Picture): void {
  pen.strokeStyle = palette.grid;
  pen.fillStyle = palette.muted;
  pen.lineWidth = 1;
  for (const at of ticks(range, width)) {
    const x = Math.round(to_x(at, range, width)) + 0.5;
    pen.beginPath();
    pen.moveTo(x, axis_height - 4);
    pen.lineTo(x, height);
    pen.stroke();
    pen.fillText(at === 0 ? '0' : duration(at), x + 3, 9);
  }
}

function draw_band(pen: Pen, { fall, range, width, palette }: Picture): void {
  for (const band of fall.bands) {
    const from = Math.max(-2, to_x(band.from, range, width));
    const to = Math.min(width + 2, to_x(band.to, range, width));
    if (to < 0 || from > width) continue;
    const behind = band.share === null;
    const top = axis_height + (behind ? 14 : 2);
    const tall = behind ? 8 : 18;
    pen.fillStyle = palette.bands[band.phase] ?? palette.muted;
    pen.globalAlpha = behind ? 0.6 : 1;
    pen.fillRect(from, top, Math.max(1, to - from - 1), tall);
    pen.globalAlpha = 1;
    if (!behind) draw_fitting(pen, band.phase, Math.max(0, from), Math.min(width, to), top + tall / 2, '#fff');
  }
}

// Only where there is room for all of it: half a word says nothing.
function draw_fitting(pen: Pen, text: string, from: number, to: number, y: number, colour: string): void {
  if (to - from < 14 || pen.measureText(text).width > to - from - 8) return;
  pen.fillStyle = colour;
  pen.fillText(text, from + 4, y);
}

function draw_row(pen: Pen, picture: Picture, row: Row, top: number): void {
  const { range, width, palette, fall } = picture;
  if (row.span.spanId === picture.selected) {
    pen.fillStyle = palette.accent;
    pen.globalAlpha = 0.14;
    pen.fillRect(0, top, width, row_height);
    pen.globalAlpha = 1;
  }
  const from = Math.max(-4, to_x(row.from, range, width));
  const to = Math.min(width + 4, to_x(row.to, range, width));
  if (to < -2 || from > width + 2) return draw_pointer(pen, from > width, width, top, palette.muted);
  const wide = Math.max(2, to - from);
  const box = { x: from, y: top + 5, w: wide, h: row_height - 10 };
  pen.globalAlpha = picture.critical && !row.span.critical ? 0.28 : 1;
  const colour = palette.groups[Math.max(0, fall.groups.indexOf(row.span.group)) % group_colours] ?? palette.muted;
  if (row.is_lock) draw_hatched(pen, box, colour);
  else if (row.segments.length > 0) draw_segments(pen, row.segments, picture, box, colour);
  else draw_plain(pen, box, colour, row.depth === 0 ? 0.45 : 0.9);
  if (row.span.open) draw_open_end(pen, box, colour);
  draw_signs(pen, row, box, picture);
  pen.globalAlpha = 1;
}

interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

function draw_plain(pen: Pen, box: Box, colour: string, strength: number): void {
  const before = pen.globalAlpha;
  pen.fillStyle = colour;
  pen.globalAlpha = before * strength;
  pen.fillRect(box.x, box.y, box.w, box.h);
  pen.globalAlpha = before;
}

function draw_hatched(pen: Pen, box: Box, colour: string): void {
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.w, box.h);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.beginPath();
  const first = Math.max(box.x, 0) - box.h - (Math.max(box.x, 0) % 7);
  for (let x = first; x < box.x + box.w; x += 7) {
    pen.moveTo(x, box.y + box.h);
    pen.lineTo(x + box.h, box.y);
  }
  pen.stroke();
  pen.restore();
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.strokeRect(box.x + 0.5, box.y + 0.5, Math.max(1, box.w - 1), box.h - 1);
}

// Heights and strengths differ, so that the parts are told apart without their colours.
const segment_looks: Record<Segment['kind'], { strength: number; share: number }> = {
  rest: { strength: 0.25, share: 0.4 },
  queue: { strength: 0.45, share: 0.7 },
  fsync: { strength: 1, share: 1 },
  replicate: { strength: 0.65, share: 0.55 },
};
function draw_segments(pen: Pen, segments: readonly Segment[], picture: Picture, box: Box, colour: string): void {
  for (const segment of segments) {
    const x = to_x(segment.from, picture.range, picture.width);
    const end = to_x(segment.to, picture.range, picture.width);
    const look = segment_looks[segment.kind];
    const tall = box.h * look.share;
    const part = { x, y: box.y + (box.h - tall) / 2, w: Math.max(1, end - x - 0.5), h: tall };
    draw_plain(pen, part, colour, look.strength);
    if (tall > 7) draw_fitting(pen, segment.kind, x, end, box.y + box.h / 2, segment.kind === 'fsync' ? '#fff' : picture.palette.text);
  }
}

function draw_open_end(pen: Pen, box: Box, colour: string): void {
  const x = box.x + box.w;
  pen.fillStyle = colour;
  for (let i = 1; i <= 3; ++i) pen.fillRect(x + i * 5 - 3, box.y + box.h / 2 - 1.5, 3, 3);
}

function draw_signs(pen: Pen, row: Row, box: Box, { palette, critical }: Picture): void {
  if (critical && row.span.critical) {
    pen.fillStyle = palette.text;
    pen.fillRect(box.x, box.y + box.h + 1, box.w, 2);
  }
  let x = box.x + box.w + (row.span.open ? 18 : 5);
  const sign = (text: string, colour: string) => {
    pen.fillStyle = colour;
    pen.fillText(text, x, box.y + box.h / 2);
    x += pen.measureText(text).width + 4;
  };
  sign(duration(row.to - row.from), palette.muted);
  if (row.span.repeats > 0) sign(`↻${row.span.repeats}`, palette.warn);
  if (row.span.outsideParent) sign(row.shifted === 0 ? '⚠' : '⇄', palette.warn);
}

// The bar lies outside the window, on that side.
function draw_pointer(pen: Pen, right: boolean, width: number, top: number, colour: string): void {
  pen.fillStyle = colour;
  pen.fillText(right ? '›' : '‹', right ? width - 8 : 2, top + row_height / 2);
}

function draw_line(pen: Pen, picture: Picture, at: number | null, colour: string, dash: number[], text: string): void {
  if (at === null) return;
  const x = Math.round(to_x(at, picture.range, picture.width)) + 0.5;
  if (x < 0 || x > picture.width) return;
  pen.save();
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.setLineDash(dash);
  pen.beginPath();
  pen.moveTo(x, axis_height);
  pen.lineTo(x, picture.height);
  pen.stroke();
  pen.restore();
  const wide = pen.measureText(text).width + 8;
  const left = x + wide > picture.width ? x - wide : x;
  const top = picture.height - (dash.length === 0 ? 34 : 17);
  pen.fillStyle = picture.palette.panel;
  pen.fillRect(left, top, wide, 16);
  pen.fillStyle = colour;
  pen.fillText(text, left + 4, top + 8);
}
