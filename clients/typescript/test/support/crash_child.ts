// One life of a service without a network: --kind K --place JSON --calls JSON; does the calls, and says "done" when it got
// through. It kills itself after ASSENT_TEST_DIE_AFTER steps of its local transactions.
import { parseArgs } from 'node:util';

import { Branches } from '../../src/participant/branches';
import { join, type Kind } from './account';
import { carryOut, type Step } from './calls';
import { dyingAfter } from './dying';
import type { Place } from './processes';

async function main(): Promise<void> {
  const text = { type: 'string', default: '' } as const;
  const { values } = parseArgs({ options: { kind: text, place: text, calls: text } });
  const { participant, barrier } = await join(values.kind as Kind, JSON.parse(values.place ?? '') as Place, { connections: 1 });
  const branches = new Branches({ name: '' }, participant, dyingAfter(barrier, Number(process.env['ASSENT_TEST_DIE_AFTER'])));
  for (const step of JSON.parse(values.calls ?? '') as Step[]) await carryOut(branches, step);
  process.stdout.write('done\n', () => process.exit(0));
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
