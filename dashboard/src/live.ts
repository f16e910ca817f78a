// What the pages are drawn from: polls of the api and the event stream, as hooks. A poll waits while the page is hidden
// or paused, goes slower while the node does not answer, keeps the last answer with the time it is of, and ends with an
// answer that cannot change any more.

import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, get, num, type NodeEvent, type Overview, type TxnSummary } from './api.js';
import { merge_newest, sample_between, samples_max, type Sample } from './rates.js';

export interface Polled<T> {
  data: T | null;
  error: ApiError | null; // of the last try; data is then of an earlier one
  again: () => void;
}

const slowest_ms = 15_000;

export function usePoll<T>(path: string | null, every_ms: number, paused = false, last?: (data: T) => boolean): Polled<T> {
  const [state, set_state] = useState<{ path: string | null; data: T | null; error: ApiError | null }>({
    path: null,
    data: null,
    error: null,
  });
  const [turn, set_turn] = useState(0);
  const asked = useRef<{ path: string; turn: number } | null>(null);
  useEffect(() => {
    if (path === null) return;
    const fresh = asked.current === null || asked.current.path !== path || asked.current.turn !== turn;
    if (paused && !fresh) return;
    asked.current = { path, turn };
    const abort = new AbortController();
    let timer = 0;
    let failures = 0;
    let over = false;
    const ask = async () => {
      if (document.hidden || over) return;
      try {
        const data = await get<T>(path, abort.signal);
        failures = 0;
        over = last?.(data) ?? false;
        set_state({ path, data, error: null });
      } catch (failure) {
        if (abort.signal.aborted) return;
        failures += 1;
        const error = failure instanceof ApiError ? failure : new ApiError(0, 'CLIENT', String(failure));
        set_state((before) => ({ path, data: before.path === path ? before.data : null, error }));
      }
      if (!paused && !over) timer = window.setTimeout(() => void ask(), Math.min(slowest_ms, every_ms * 2 ** failures));
    };
    const shown = () => {
      if (document.hidden) return window.clearTimeout(timer);
      window.clearTimeout(timer);
      void ask();
    };
    document.addEventListener('visibilitychange', shown);
    void ask();
    return () => {
      document.removeEventListener('visibilitychange', shown);
      window.clearTimeout(timer);
      abort.abort();
    };
  }, [path, every_ms, paused, turn]);
  const known = state.path === path;
  return { data: known ? state.data : null, error: known ? state.error : null, again: () => set_turn((n) => n + 1) };
}

export interface Live {
  connected: boolean;
  now: Overview | null;
  samples: Sample[];
  newest: TxnSummary[]; // more than one message of the stream has
  events: NodeEvent[]; // the newest first
}

const newest_kept = 500;
const events_kept = 200;

function merge_events(known: readonly NodeEvent[], came: readonly NodeEvent[]): NodeEvent[] {
  const keys = new Set(came.map((event) => `${event.node}/${event.number}`));
  const all = [...came, ...known.filter((event) => !keys.has(`${event.node}/${event.number}`))];
  return all.sort((a, b) => num(b.unixMicros) - num(a.unixMicros)).slice(0, events_kept);
}

// Of one stream for the whole application. EventSource comes back by itself, with Last-Event-ID.
export function useStream(): Live {
  const [live, set_live] = useState<Live>({ connected: false, now: null, samples: [], newest: [], events: [] });
  useEffect(() => {
    const source = new EventSource('./api/v1/stream');
    source.addEventListener('overview', (message: MessageEvent<string>) => {
      const now = JSON.parse(message.data) as Overview;
      set_live((before) => {
        const sample = before.now === null ? null : sample_between(before.now, now);
        return {
          connected: true,
          now,
          samples: sample === null ? before.samples : [...before.samples, sample].slice(-samples_max),
          newest: merge_newest(before.newest, now.newest, newest_kept),
          events: merge_events(before.events, now.events),
        };
      });
    });
    source.onerror = () => set_live((before) => ({ ...before, connected: false }));
    return () => source.close();
  }, []);
  return live;
}

// Draws its user again each second: for ages that grow.
export function useSeconds(): number {
  const [now, set_now] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => set_now(Date.now()), 1_000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}
