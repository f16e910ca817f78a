// The small parts that all pages are made of. Text comes in as text only: there is no innerHTML anywhere.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { ApiError, num, type Int64, type TxnSummary, type Unreachable } from './api.js';
import { clock, duration, iso, short_id } from './format.js';
import { useSeconds } from './live.js';
import { tone_of, tones, type Tone } from './states.js';
import { link } from './url.js';

export function Sign({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`sign tone-${tone}`}>
      <span aria-hidden="true">{tones[tone].sign}</span> {children}
    </span>
  );
}

export function StateSign({ txn }: { txn: TxnSummary }) {
  const tone = tone_of(txn);
  return (
    <span title={tones[tone].word}>
      <Sign tone={tone}>{txn.state}</Sign>
    </span>
  );
}

const stale_ms = 6_000;

// When a node said this. Turns into a warning when it has grown old, so that a frozen page is not taken for calm.
export function AsOf({ at, live = true }: { at: Int64 | undefined; live?: boolean }) {
  const now = useSeconds();
  if (at === undefined || num(at) === 0) return <span class="as-of">not answered yet</span>;
  const age_ms = Math.max(0, now - num(at) / 1e3);
  const old = live && age_ms > stale_ms;
  return (
    <span class={old ? 'as-of old' : 'as-of'} title={iso(num(at))}>
      {old ? '⚠ ' : ''}as of {clock(num(at))}
      {age_ms > 2_000 ? ` (${duration(age_ms * 1e3)} ago)` : ''}
    </span>
  );
}

interface PanelProps {
  title: string;
  at?: Int64 | undefined;
  live?: boolean;
  error?: ApiError | null;
  unreachable?: readonly Unreachable[] | undefined;
  tools?: ComponentChildren;
  children: ComponentChildren;
}
export function Panel({ title, at, live = true, error, unreachable, tools, children }: PanelProps) {
  return (
    <section class="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {tools}
        <AsOf at={at} live={live} />
      </header>
      {error && <Problem error={error} />}
      {unreachable && unreachable.length > 0 && (
        <p class="notice" role="status">
          ⚠ Without what {unreachable.map((one) => `${one.node} (${one.why})`).join(', ')} knows.
        </p>
      )}
      {children}
    </section>
  );
}

export function Problem({ error }: { error: ApiError }) {
  return (
    <p class="notice bad" role="alert">
      ✕ {error.message} <code>{error.code}</code>
    </p>
  );
}

export function Empty({ why, next }: { why: string; next: ComponentChildren }) {
  return (
    <div class="empty">
      <p>
        <strong>{why}</strong>
      </p>
      <p>{next}</p>
    </div>
  );
}

export function Loading() {
  return (
    <p class="empty" role="status">
      Asking the nodes…
    </p>
  );
}

export function TxnLink({ id, whole = false }: { id: string; whole?: boolean }) {
  return (
    <a class="mono" href={link('txn', {}, id)} title={id} aria-label={`transaction ${id}`}>
      {whole ? id : short_id(id)}
    </a>
  );
}

export function Chips({ names, lead }: { names: readonly string[]; lead?: string }) {
  return (
    <span class="chips">
      {names.map((name) => (
        <span key={name} class={name === lead ? 'chip lead' : 'chip'}>
          {name}
        </span>
      ))}
    </span>
  );
}

// The clipboard needs a secure page; loopback is one. Elsewhere the text is there to be selected.
export function Command({ text }: { text: string }) {
  const [done, set_done] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set_done('copied');
    } catch {
      set_done('select it and copy by hand');
    }
  };
  return (
    <div class="command">
      <code>{text}</code>
      <button type="button" onClick={() => void copy()} aria-label={`Copy the command ${text}`}>
        Copy
      </button>
      <span role="status">{done}</span>
    </div>
  );
}

export function Figure({ name, value, note, tone }: { name: string; value: string; note?: string; tone?: Tone }) {
  return (
    <div class={`figure ${tone ? `tone-${tone}` : ''}`}>
      <dt>{name}</dt>
      <dd>
        {tone && tone !== 'neutral' && <span aria-hidden="true">{tones[tone].sign} </span>}
        {value}
      </dd>
      {note && <dd class="note">{note}</dd>}
    </div>
  );
}
