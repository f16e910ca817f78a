// The real dashboard of a real cluster: `assentd dev`, looked at and broken in a browser.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer, get as http_get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { chromium, type Browser, type Page } from 'playwright-core';
import { unnamed, weak_texts } from '../support/accessible.js';
import { watch } from '../support/browser.js';
import { start_dev, type DevCluster } from '../support/dev_cluster.js';

interface Group {
  group: string;
  leader: string;
}

let cluster: DevCluster;
let browser: Browser;
let page: Page;
const problems: string[] = [];

before(async () => {
  cluster = await start_dev();
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  page = await context.newPage();
  page.setDefaultTimeout(60_000);
  watch(page, problems);
});
after(async () => {
  await browser?.close();
  assert.equal(await cluster?.end(), 0, 'it ends well');
  assert.equal(existsSync(cluster.directory), false, 'and leaves nothing behind');
});

async function go(hash: string): Promise<void> {
  await page.evaluate((to) => (location.hash = to), hash);
}
async function groups(): Promise<Group[]> {
  const answer = await fetch(`${cluster.base}/api/v1/groups`);
  return ((await answer.json()) as { groups: Group[] }).groups;
}
// Other than the one that was killed, of which the others may not know yet.
async function leader_of(group: string, killed = ''): Promise<string> {
  for (let tries = 0; tries < 300; ++tries) {
    const found = (await groups()).find((one) => one.group === group)?.leader ?? '';
    if (found !== '' && found !== killed) return found;
    await page.waitForTimeout(100); // between two looks
  }
  throw new Error(`${group} has no leader`);
}
async function figure(name: string): Promise<string> {
  return (await page.locator('.figure', { has: page.getByText(name, { exact: true }) }).locator('dd').first().textContent()) ?? '';
}
async function press(name: string): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click();
}
async function counted_on(): Promise<void> {
  const before = Number((await figure('times counted')).replace(/\D/g, ''));
  await page.waitForFunction((least) => {
    const found = [...document.querySelectorAll('.figure')].find((one) => one.querySelector('dt')?.textContent === 'times counted');
    return Number((found?.querySelector('dd')?.textContent ?? '').replace(/\D/g, '')) > least;
  }, before);
}

test('its page shows the bank, and the url keeps no token', async () => {
  await page.goto(cluster.page);
  await page.waitForFunction(() => document.body.textContent?.includes('must be 20000'));
  await page.getByText(/✓ 20000/).first().waitFor();
  await counted_on();
  assert.match(await figure('sum of all accounts'), /✓ 20000/);
  assert.doesNotMatch(page.url(), /token/);
  for (const node of ['n1', 'n2', 'n3']) await page.getByRole('button', { name: `Kill ${node}`, exact: true }).waitFor();
});

test('transactions come, are filtered, and one is a waterfall', async () => {
  await go('#/txns?state=COMMITTED');
  const row = page.locator('table.txns tbody tr');
  await row.first().waitFor();
  for (const text of await row.allTextContents()) assert.match(text, /COMMITTED/);
  await page.getByRole('button', { name: /pause/i }).first().click();
  await page.locator('table.txns td a').first().click();
  await page.locator('.bars canvas').waitFor();
  const rows = await page.locator('.bars canvas').getAttribute('data-rows');
  assert.ok(Number(rows) >= 3, `${rows} rows`);
  await page.getByText(/went into/).first().waitFor();
});

test('the coordinator is killed: the page stays, another leads, the sum is what it was', async () => {
  await go('#/demo');
  const victim = await leader_of('c0');
  await press(`Kill ${victim}`);
  await page.getByText(`${victim} was killed`).or(page.getByRole('button', { name: `Restart ${victim}`, exact: true })).first().waitFor();
  await page.getByRole('button', { name: `Restart ${victim}`, exact: true }).waitFor();
  await counted_on();
  assert.match(await figure('sum of all accounts'), /✓ 20000/);
  await leader_of('c0', victim);
  await press(`Restart ${victim}`);
  await page.getByRole('button', { name: `Kill ${victim}`, exact: true }).waitFor();
});

test('without a majority transactions hang in doubt, are not resolved, and go when it is back', async () => {
  const keeps = await leader_of('c0');
  const others = ['n1', 'n2', 'n3'].filter((node) => node !== keeps);
  await go('#/demo');
  for (const node of others) {
    await press(`Kill ${node}`);
    await page.getByRole('button', { name: `Restart ${node}`, exact: true }).waitFor();
  }
  await go('#/in-doubt');
  await page.locator('.doubt').first().waitFor();
  const doubt = page.locator('.doubt').first();
  await doubt.getByRole('button', { name: /^Resolve/ }).click();
  await page.getByRole('button', { name: /^Yes: Resolve/ }).first().click();
  const refusal = page.locator('.doubt [role=alert]').first();
  await refusal.waitFor();
  assert.match((await refusal.textContent()) ?? '', /REFUSED/);
  await go('#/demo');
  for (const node of others) await press(`Restart ${node}`);
  for (const node of others) await page.getByRole('button', { name: `Kill ${node}`, exact: true }).waitFor();
  await go('#/in-doubt');
  await page.getByText('Nothing is in doubt.').waitFor();
  await go('#/demo');
  await counted_on();
  assert.match(await figure('sum of all accounts'), /✓ 20000/);
});

test('a node cut off and a slow disk are shown, and healed', async () => {
  await go('#/demo');
  await press('Cut n1 off');
  await page.getByText('cut off from n2 and n3').waitFor();
  await press('Slow the disk of n2');
  await page.getByText(/disk \d+ ms slower/).waitFor();
  await press('Heal all connections and disks');
  await page.getByText('cut off from n2 and n3').waitFor({ state: 'detached' });
  await counted_on();
  assert.match(await figure('sum of all accounts'), /✓ 20000/);
});

test('forty viewers watch at once', async () => {
  const heard = await Promise.all(
    Array.from({ length: 40 }, () =>
      new Promise<boolean>((resolve) => {
        const request = http_get(`${cluster.base}/api/v1/stream`, (answer) => {
          let text = '';
          answer.on('data', (data: Buffer) => {
            text += data.toString();
            if (!text.includes('event: overview')) return;
            request.destroy();
            resolve(true);
          });
          answer.on('end', () => resolve(false));
        });
        request.on('error', () => resolve(false));
      })),
  );
  assert.equal(heard.filter((one) => one).length, 40);
});

test('nodes are some time from each other, and one that is cut off is lost', async () => {
  await go('#/groups');
  const cell = (row: number, column: number) => page.locator(`table.distances tbody tr:nth-child(${row}) td:nth-of-type(${column})`);
  await page.waitForFunction(() => /\d (µs|ms)/.test(document.querySelector('table.distances tbody tr td:nth-of-type(2)')?.textContent ?? ''));
  await go('#/demo');
  await press('Cut n3 off');
  await page.getByText('cut off from n1 and n2').waitFor();
  await go('#/groups');
  await cell(1, 3).getByText('lost').waitFor();
  assert.match((await cell(1, 2).textContent()) ?? '', /\d (µs|ms)/);
  await go('#/demo');
  await press('Heal all connections and disks');
  await page.getByText('cut off from n1 and n2').waitFor({ state: 'detached' });
  await go('#/groups');
  await cell(1, 3).getByText(/\d (µs|ms)/).waitFor();
});

test('the heat map counts more than a page of transactions, and a rectangle lists those in it', async () => {
  await go('#/latency');
  await page.waitForFunction(() => Number(/([\d,]+) transactions\./.exec(document.body.textContent ?? '')?.[1]?.replace(/\D/g, '')) > 600);
  await page.getByRole('combobox', { name: 'Pick by' }).selectOption('prepare');
  await page.getByRole('heading', { name: /Picked: prepare/ }).waitFor();
  await page.locator('table.txns tbody tr').first().waitFor();
  assert.match(page.url(), /shown=\d+-\d+/);
});

test('the one with the most participants that may be is a waterfall with all of them', async () => {
  const participants = 64;
  const service = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end('{}');
    });
  });
  await new Promise<void>((done) => service.listen(0, '127.0.0.1', done));
  try {
    const target = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
    const services = Array.from({ length: participants }, (_, i) => ({ name: `step${i}`, target: `${target}/step${i}` }));
    const node = ((await (await fetch(`${cluster.base}/api/v1/dev`)).json()) as { nodes: { http: string }[] }).nodes[0]?.http ?? '';
    const answer = await fetch(`http://${node}/api/v1/transactions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${cluster.token}` },
      body: JSON.stringify({ mode: 'CONCURRENT_SAGA', services }),
    });
    const said = (await answer.json()) as { txn_id?: string; state?: string };
    assert.equal(said.state, 'COMMITTED', JSON.stringify(said));
    await go(`#/txn/${said.txn_id}`);
    await page.waitForFunction((least) => Number(document.querySelector('.bars canvas')?.getAttribute('data-rows')) >= least, 2 * participants);
    await page.getByText('concurrent-saga').first().waitFor();
    assert.ok((await page.locator('.names .name').count()) < 40, 'only what is seen is an element');
  } finally {
    service.closeAllConnections();
    service.close();
  }
});

test('every control has a name, every table a caption, every page one heading, all text its contrast', async () => {
  for (const theme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: theme });
    for (const hash of ['#/overview', '#/txns', '#/in-doubt', '#/contention', '#/latency', '#/groups', '#/events', '#/demo']) {
      await go(hash);
      await page.locator('h1').waitFor();
      await page.locator('section.panel').first().waitFor();
      assert.deepEqual(await unnamed(page), [], hash);
      assert.deepEqual(await weak_texts(page), [], `${theme} ${hash}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
});

test('without its token nothing is done', async () => {
  const answer = await fetch(`${cluster.base}/api/v1/dev/kill`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: 'Bearer nothing-like-the-token' },
    body: '{"node":"n1"}',
  });
  assert.equal(answer.status, 401);
});

test('the console has no error of the page', () => {
  // Answers that are no success are shown by the page; the console reports each as well.
  assert.deepEqual(problems.filter((text) => !text.includes('Failed to load resource') && !text.includes('ERR_INCOMPLETE_CHUNKED')), []);
});
