// Moves money from an account on shard s1 to a service of our own, whose ledger is in MariaDB, in one transaction.
//   ASSENT_ENDPOINTS=127.0.0.1:7421 MARIADB='{"host":"127.0.0.1","user":"me","database":"ledger"}' node dist/example/transfer.js
import type { Connection } from 'mysql2/promise';
import { setTimeout } from 'node:timers/promises';

import { askCoordinator, Client, no, ParticipantHost, Resolver, yes, type Branch, type Participant } from '../src'; // 'assent'
import { MariaDbBarrier } from '../src/mariadb'; // 'assent/mariadb'

class Ledger implements Participant<Connection> {
  prepare(_: Branch, __: Connection, payload: Buffer) {
    return Number(payload) > 0 ? yes() : no('BAD_AMOUNT', `${payload} is no amount to book`);
  }
  async commit(branch: Branch, db: Connection, payload: Buffer) {
    await db.execute('INSERT INTO ledger VALUES(?, ?)', [branch.txnId, Number(payload)]);
  }
  abort() {} // prepare left nothing to undo
}

async function main() {
  const client = new Client({ endpoints: (process.env['ASSENT_ENDPOINTS'] ?? '127.0.0.1:7420').split(',') });
  const barrier = await MariaDbBarrier.open({ connection: JSON.parse(process.env['MARIADB'] ?? '{}') as object });
  const host = new ParticipantHost({ name: 'ledger' }, new Ledger(), barrier);
  const port = await host.listen('127.0.0.1:0');
  const resolver = new Resolver(host.branches, askCoordinator(client));

  const outcome = await client.run({ name: 'transfer', timeoutMs: 5000 }, async (tx) => {
    const balance = (await tx.query('s1', "SELECT balance FROM accounts WHERE id = 'alice'")).rows[0]?.[0];
    if (typeof balance !== 'bigint' || balance < 50n) return tx.abort('alice does not have 50');
    tx.execute('s1', 'UPDATE accounts SET balance = balance - ?1 WHERE id = ?2', 50, 'alice');
    tx.call(`ledger@127.0.0.1:${port}`, '50');
  });
  if (outcome.state === 'committed') console.log('moved');
  else if (outcome.state === 'aborted') console.log(`not moved: ${outcome.message || outcome.reason}`);
  else console.log(`not known yet: client.wait('${outcome.id}') tells`); // never guess
  while ((await host.branches.inDoubt(0, 1)).length > 0) await setTimeout(20); // the commit is on its way
  await Promise.all([resolver.stop(), host.close()]);
  await barrier.close();
  client.close();
}

void main();
