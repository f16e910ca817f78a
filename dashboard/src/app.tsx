// The frame around the pages: navigation, theme, keys, help. The hash of the url says which page it is.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { num } from './api.js';
import { useKeys } from './keys.js';
import { useStream } from './live.js';
import { ContentionPage } from './pages/contention.js';
import { DemoPage } from './pages/demo.js';
import { EventsPage } from './pages/events.js';
import { GroupsPage } from './pages/groups.js';
import { InDoubtPage } from './pages/in_doubt.js';
import { LatencyPage } from './pages/latency.js';
import { OverviewPage } from './pages/overview.js';
import { TransactionPage } from './pages/transaction.js';
import { TransactionsPage } from './pages/transactions.js';
import { doubt_micros } from './states.js';
import { next_theme, read_theme, show_theme, type Theme } from './theme.js';
import { is_dev } from './token.js';
import { Empty } from './ui.js';
import { link, parse_view, print_view, type Page, type View } from './url.js';

const tabs: { page: Page; name: string }[] = [
  { page: 'overview', name: 'Overview' },
  { page: 'txns', name: 'Transactions' },
  { page: 'in-doubt', name: 'In doubt' },
  { page: 'contention', name: 'Contention' },
  { page: 'latency', name: 'Latency' },
  { page: 'groups', name: 'Groups' },
  { page: 'events', name: 'Events' },
];

const demo_tab: { page: Page; name: string } = { page: 'demo', name: 'Demo' };

function useView(): [View, (view: View) => void] {
  const [view, set_view] = useState(() => parse_view(location.hash));
  useEffect(() => {
    const changed = () => set_view(parse_view(location.hash));
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, []);
  const go = (next: View) => {
    const hash = print_view(next);
    if (next.page === view.page && next.id === view.id) history.replaceState(null, '', hash);
    else history.pushState(null, '', hash);
    set_view(next);
  };
  return [view, go];
}

export function App() {
  const [view, go] = useView();
  const [help, set_help] = useState(false);
  const [theme, set_theme] = useState<Theme>(read_theme);
  const live = useStream();
  // Before anything is painted, and before whoever chose it can see that it was chosen: it is kept by then.
  useLayoutEffect(() => show_theme(theme), [theme]);
  useEffect(() => {
    const tab = [...tabs, demo_tab].find((one) => one.page === view.page);
    document.title = `${tab?.name ?? (view.page === 'txn' ? `Transaction ${view.id}` : 'Not found')} · Assent`;
  }, [view.page, view.id]);
  useKeys({ '?': () => set_help(true) });
  const doubt = live.now !== null && num(live.now.inDoubtOldestMillis) * 1e3 >= doubt_micros ? num(live.now.inDoubt) : 0;
  // The stream draws this frame each second; pages that do not show it are not drawn again with it.
  const page = useMemo(() => page_of(view, go), [view]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById('main')?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <strong class="brand">Assent</strong>
        <nav aria-label="Pages">
          {(is_dev() ? [...tabs, demo_tab] : tabs).map((tab) => (
            <a key={tab.page} href={link(tab.page)} aria-current={tab.page === view.page ? 'page' : undefined}>
              {tab.name}
              {tab.page === 'in-doubt' && doubt > 0 && <span class="count tone-doubt"> ◆ {doubt}</span>}
            </a>
          ))}
        </nav>
        <span class="node" role="status">
          {live.connected && live.now ? `● ${live.now.node}` : '○ no stream from the node'}
        </span>
        <button type="button" onClick={() => set_theme(next_theme(theme))} aria-label={`Theme: ${theme}. Change it`}>
          {theme === 'auto' ? '◐' : theme === 'dark' ? '●' : '○'} {theme}
        </button>
        <button type="button" onClick={() => set_help(true)} aria-label="Help on keys and signs">
          ?
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        {view.page === 'overview' ? <OverviewPage live={live} /> : page}
      </main>
      {help && <Help close={() => set_help(false)} />}
    </>
  );
}

function page_of(view: View, go: (view: View) => void) {
  switch (view.page) {
    case 'overview':
      return null; // drawn with the stream
    case 'txns':
      return <TransactionsPage view={view} go={go} />;
    case 'txn':
      return <TransactionPage key={view.id} view={view} go={go} />;
    case 'in-doubt':
      return <InDoubtPage />;
    case 'contention':
      return <ContentionPage />;
    case 'latency':
      return <LatencyPage view={view} go={go} />;
    case 'groups':
      return <GroupsPage />;
    case 'events':
      return <EventsPage view={view} go={go} />;
    case 'demo':
      return <DemoPage />;
    case 'unknown':
      return <Empty why="There is no such page." next={<a href={link('overview')}>Go to the overview</a>} />;
  }
}

function Help({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={close} aria-label="Help">
      <h2>Keys</h2>
      <dl class="keys">
        <dt>/</dt><dd>to the search field</dd>
        <dt>j k</dt><dd>next and previous row; Enter opens it</dd>
        <dt>f</dt><dd>waterfall: all of it</dd>
        <dt>+ −</dt><dd>waterfall: nearer, farther (or Ctrl and the wheel; drag to move)</dd>
        <dt>c a t</dt><dd>waterfall: critical path, aligned clocks, as a table</dd>
        <dt>p</dt><dd>pause and go on</dd>
        <dt>?</dt><dd>this help; Esc closes it</dd>
      </dl>
      <h2>Signs</h2>
      <ul class="plain">
        <li class="tone-live">▶ running</li>
        <li class="tone-committed">✓ committed</li>
        <li class="tone-declined">○ aborted as asked: by the client, a condition, a participant's no</li>
        <li class="tone-fault">✕ aborted by fault: conflict, timeout, a coordinator that was gone</li>
        <li class="tone-doubt">◆ in doubt: prepared for longer than a second</li>
      </ul>
      <form method="dialog">
        <button>Close</button>
      </form>
    </dialog>
  );
}
