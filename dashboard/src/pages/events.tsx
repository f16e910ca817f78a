// What happened to nodes and groups, of all nodes, the newest first.

import { num, type EventPage } from '../api.js';
import { clock, iso } from '../format.js';
import { step_focus, useKeys } from '../keys.js';
import { usePoll } from '../live.js';
import { event_tone } from '../states.js';
import { Empty, Loading, Panel, Sign } from '../ui.js';
import { with_params, type View } from '../url.js';

export function EventsPage({ view, go }: { view: View; go: (view: View) => void }) {
  const { data, error } = usePoll<EventPage>('events?limit=200', 2_000);
  const kind = view.params['kind'] ?? '';
  const node = view.params['node'] ?? '';
  const all = data?.events ?? [];
  const shown = all.filter((event) => (kind === '' || event.kind === kind) && (node === '' || event.node === node));
  const values = (pick: (event: EventPage['events'][number]) => string) => [...new Set(all.map(pick))].sort();
  useKeys({
    '/': () => document.getElementById('kind')?.focus(),
    j: () => step_focus('tr.event', 1),
    k: () => step_focus('tr.event', -1),
  });
  const choice = (id: string, name: string, value: string, options: string[]) => (
    <label>
      {name}{' '}
      <select id={id} value={value} onChange={(e) => go(with_params(view, { [id]: e.currentTarget.value }))}>
        <option value="">all</option>
        {[...new Set([...options, value])].filter((one) => one !== '').map((one) => <option key={one}>{one}</option>)}
      </select>
    </label>
  );
  return (
    <>
      <h1>Events</h1>
      <div class="filters" role="search" aria-label="Filters of events">
        {choice('kind', 'Kind', kind, values((event) => event.kind))}
        {choice('node', 'Node', node, values((event) => event.node))}
      </div>
      <Panel title="Newest events" at={data?.asOfUnixMicros} error={error} unreachable={data?.unreachable}>
        {data === null && !error && <Loading />}
        {data !== null && shown.length === 0 && (
          <Empty
            why={all.length > 0 ? 'No event passes these filters.' : 'No node has recorded an event since it started.'}
            next="Leader changes, snapshots and starts of nodes show up here by themselves."
          />
        )}
        {shown.length > 0 && (
          <div class="scroll">
            <table>
              <caption class="sr">Events of all nodes, the newest first</caption>
              <thead>
                <tr><th>Time</th><th>Node</th><th>Kind</th><th>Group</th><th>What</th></tr>
              </thead>
              <tbody>
                {shown.map((event) => (
                  <tr class="event" tabIndex={-1} key={`${event.node}/${event.number}`}>
                    <td class="mono" title={iso(num(event.unixMicros))}>{clock(num(event.unixMicros), true)}</td>
                    <td>{event.node}</td>
                    <td><Sign tone={event_tone(event.kind)}>{event.kind}</Sign></td>
                    <td>{event.group}</td>
                    <td>{event.text}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
    </>
  );
}
