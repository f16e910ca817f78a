// The account as a process: --kind mariadb|postgres --place JSON --listen HOST:PORT --name NAME [--endpoints A,B].
// With ASSENT_TEST_DIE_AFTER=N it kills itself after the N-th step of its local transactions.
import { parseArgs } from 'node:util';

import { askCoordinator, Client, ParticipantHost, Resolver } from '../../src';
import { join, type Kind } from './account';
import { dyingAfter } from './dying';
import { endWithParent, type Place } from './processes';

async function main(): Promise<void> {
  endWithParent();
  const { values } = parseArgs({
    options: {
      kind: { type: 'string', default: '' },
      place: { type: 'string', default: '{}' },
      listen: { type: 'string', default: '127.0.0.1:0' },
      name: { type: 'string', default: '' },
      endpoints: { type: 'string', default: '' },
    },
  });
  const joined = await join(values.kind as Kind, JSON.parse(values.place as string) as Place);
  const steps = Number(process.env['ASSENT_TEST_DIE_AFTER'] ?? 0);
  const barrier = steps > 0 ? dyingAfter(joined.barrier, steps) : joined.barrier;
  const host = new ParticipantHost({ name: values.name as string }, joined.participant, barrier);
  const port = await host.listen(values.listen as string);
  if (values.endpoints) {
    const client = new Client({ endpoints: (values.endpoints as string).split(',') });
    new Resolver(host.branches, askCoordinator(client), { patienceMs: 1_000, intervalMs: 200, pauseMaxMs: 2_000 });
  }
  console.log(`listening ${port}`);
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
