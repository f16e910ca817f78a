// The inventory as a process, with a cluster and a MariaDB of its own.
import { Client } from 'assent';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import type * as Processes from '../../../clients/typescript/dist/test/support/processes';
import { readOrder, type Books } from './stock';

// From dist/, one folder deeper than this file.
const support = join(__dirname, '..', '..', '..', '..', 'clients', 'typescript', 'dist', 'test', 'support', 'processes.js');
// eslint-disable-next-line @typescript-eslint/no-require-imports
const { assentctl, Cluster, DatabaseServer, eventually, ServiceProcess } = require(support) as typeof Processes;

const program = join(__dirname, 'inventory.js');
const run = async (...args: string[]): Promise<string> => (await promisify(execFile)(process.execPath, [program, ...args])).stdout;

describe('what an order asks for', () => {
  it('is believed only as far as it makes sense', () => {
    assert.deepEqual(readOrder(Buffer.from('{"order":"o","product":"tea","quantity":2,"amount":600}')), { order: 'o', product: 'tea', quantity: 2 });
    for (const bad of ['', '[]', 'null', '{}', '{"product":"tea"}', '{"product":"tea","quantity":0}', '{"product":"tea","quantity":1.5}', '{"product":7,"quantity":1}']) {
      assert.equal(typeof readOrder(Buffer.from(bad)), 'string', bad);
    }
  });
});

describe('the inventory', () => {
  let cluster: Processes.Cluster;
  let server: Processes.DatabaseServer;
  let service: Processes.ServiceProcess;
  let client: Client;
  let database = '';
  before(async () => {
    server = await DatabaseServer.start('mariadb');
    const place = await server.create();
    database = `mysql://${place.user}@${place.host}:${place.port}/${place.database}`;
    await run('--database', database, '--open', '2', '--stock', '1000');
    cluster = await Cluster.start();
    client = new Client({ endpoints: cluster.endpoints, timeoutMs: 20_000 });
    service = new ServiceProcess(program, { database, endpoints: cluster.endpoints.join(','), patience: '1000' });
    await service.start();
  });
  after(async () => {
    await service?.kill();
    client?.close();
    await Promise.all([cluster?.stop(), server?.stop()]);
  });
  const books = async (): Promise<Books> => JSON.parse(await run('--database', database, '--audit')) as Books;
  const settled = () => eventually('nothing is reserved', async () => {
    const found = await books();
    assert.equal(found.reserved, 0);
    assert.deepEqual([found.reservedByReservations, found.soldByReservations], [0, found.sold]);
    assert.equal(found.available + found.sold, 2_000);
    return found;
  });
  const order = (product: string, quantity: number) => client.run({ timeoutMs: 8_000 }, (tx) => {
    tx.call(`inventory@${service.address}`, JSON.stringify({ order: 'o', product, quantity }));
    tx.add('s1', 'ordered', quantity, { escrow: true });
  });

  it('gives what there is, and nothing of what there is not', async () => {
    assert.equal((await order('product-0', 3)).state, 'committed');
    for (const [product, quantity, refusal] of [['product-1', 1_001, /there are 1000/], ['tea', 1, /no tea/], ['product-0', 0, /quantity/]] as const) {
      const outcome = await order(product, quantity);
      assert.equal(outcome.state, 'aborted');
      if (outcome.state === 'aborted') assert.match(outcome.message, refusal);
    }
    assert.equal((await settled()).sold, 3);
  });

  it('keeps its books while it is killed under load', async () => {
    let sold = (await books()).sold;
    let placed = 0;
    let stop = false;
    const shoppers = Array.from({ length: 4 }, async (_, n) => {
      while (!stop) {
        const outcome = await order(`product-${n % 2}`, 1 + (n % 3));
        const { state } = outcome.state === 'unknown' ? await client.seal(outcome.id, { group: outcome.ask }) : outcome;
        assert.notEqual(state, 'unknown');
        if (state !== 'committed') continue;
        sold += 1 + (n % 3);
        placed += 1;
      }
    });
    try {
      for (let i = 0; i < 2; ++i) {
        const already = placed;
        await eventually('some orders', () => (placed > already + 3 ? Promise.resolve() : Promise.reject(new Error(String(placed)))));
        await service.kill();
        await service.start();
      }
    } finally {
      stop = true; // also when it fails, or the others would go on for ever
    }
    await Promise.all(shoppers);
    assert.equal((await settled()).sold, sold);
  });

  it('conforms', async () => {
    const payload = ['--payload', '{"product":"product-0","quantity":1}', '--refused', '{"product":"product-0","quantity":1000000}'];
    const { stdout } = await promisify(execFile)(assentctl, ['-o', 'json', 'conformance', '--target', service.address, '--name', 'inventory', ...payload]);
    assert.equal((JSON.parse(stdout) as { failed: number }).failed, 0, stdout);
  });

  it('says how it is used', async () => {
    await assert.rejects(run(), /usage: inventory --database/);
    await assert.rejects(run('--database', 'mysql://nobody@127.0.0.1:1/x', '--audit'), /127.0.0.1:1 cannot be reached/);
  });
});
