// assentctl conformance against services in this language, on both databases, killed and started again between steps.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { Account } from './support/account';
import { assentctl, DatabaseServer, Look, ServiceProcess } from './support/processes';

for (const kind of ['mariadb', 'postgres'] as const) {
  describe(`conformance on ${kind}`, () => {
    let server: DatabaseServer;
    let service: ServiceProcess;
    before(async () => {
      server = await DatabaseServer.start(kind);
      const place = await server.create();
      const look = new Look(kind, place);
      for (const table of Account.tables) await look.rows(table);
      await look.once('INSERT INTO account VALUES(1, 1000000)');
      service = new ServiceProcess(join(__dirname, 'support', 'account_service.js'), { kind, place: JSON.stringify(place), name: 'account' });
      await service.start();
    });
    after(async () => {
      await service?.kill();
      await server?.stop();
    });

    it('passes every check', async () => {
      // The restart hook asks this process to kill the service and start it again.
      const hook = createServer((socket) => {
        void service.kill().then(() => service.start()).then(() => socket.end('done'), () => socket.destroy());
      });
      await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
      const { port } = hook.address() as { port: number };
      const command = `exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}; [ "$(cat <&3)" = done ]'`;
      const { stdout } = await promisify(execFile)(
        assentctl,
        ['-o', 'json', 'conformance', '--target', service.address, '--name', 'account', '--payload', '{"amount": -1, "answer": "done"}']
          .concat(['--refused', '{"amount": -1000000000}', '--restart-hook', command]),
      ).finally(() => hook.close());
      const report = JSON.parse(stdout) as { passed: number; failed: number; skipped: number };
      assert.equal(report.failed, 0, stdout);
      assert.equal(report.skipped, 0, stdout);
      assert.ok(report.passed >= 25, stdout);
    });
  });
}
