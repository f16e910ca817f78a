// The inventory service's process.
//
//   node dist/inventory.js --listen 127.0.0.1:7003 --database mysql://me@127.0.0.1:3306/inventory --endpoints 127.0.0.1:7420
//   node dist/inventory.js --database ... --open 5 --stock 10000     makes product-0 to product-4, unless they are there
//   node dist/inventory.js --database ... --audit                    what its books say, as JSON
//
// Ends on SIGTERM or SIGINT; killed at any moment, it goes on after a restart as if nothing had been.
import { askCoordinator, Client, ParticipantHost, Resolver } from 'assent';
import { MariaDbBarrier } from 'assent/mariadb';
import type { Connection } from 'mysql2/promise';
import { parseArgs } from 'node:util';

import { books, makeTables, openStock, Stock } from './stock';

const usage = 'usage: inventory --database mysql://USER[:PASSWORD]@HOST:PORT/DATABASE [--open N --stock M] [--audit] [--listen HOST:PORT [--endpoints LIST] [--patience MS]]';

async function main(): Promise<void> {
  const text = (byDefault: string) => ({ type: 'string', default: byDefault }) as const;
  const { values } = parseArgs({
    options: {
      database: text(''),
      listen: text(''),
      endpoints: text(''),
      name: text('inventory'),
      patience: text('10000'),
      open: text('0'),
      stock: text('10000'),
      audit: { type: 'boolean', default: false },
    },
  });
  const { database = '', listen = '', endpoints = '', name = '', audit } = values;
  const [patienceMs, products, stock] = [values.patience, values.open, values.stock].map(Number) as [number, number, number];
  if (!database || (!listen && !products && !audit) || [patienceMs, products, stock].some((one) => !Number.isSafeInteger(one) || one < 0)) {
    throw new Error(usage);
  }

  const barrier = await MariaDbBarrier.open({ connection: { uri: database }, connections: 8 });
  await withConnection(barrier, makeTables);
  if (products > 0) await withConnection(barrier, (db) => openStock(db, products, stock));
  if (audit) console.log(JSON.stringify({ service: 'inventory', ...(await withConnection(barrier, books)) }));
  if (!listen) return barrier.close();

  const host = new ParticipantHost({ name }, new Stock(), barrier);
  const client = endpoints ? new Client({ endpoints: endpoints.split(',') }) : undefined;
  const resolver = client && new Resolver(host.branches, askCoordinator(client), { patienceMs });
  const port = await host.listen(listen);
  console.log(`inventory service listening on ${listen.replace(/:0$/, `:${port}`)}`);
  await new Promise((resolve) => process.once('SIGTERM', resolve).once('SIGINT', resolve));
  await host.close();
  await resolver?.stop();
  client?.close();
  await barrier.close();
}

async function withConnection<T>(barrier: MariaDbBarrier, act: (db: Connection) => Promise<T>): Promise<T> {
  const local = await barrier.take();
  try {
    return await act(local.connection);
  } finally {
    local.release();
  }
}

main().catch((error: unknown) => {
  console.error(`inventory: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
