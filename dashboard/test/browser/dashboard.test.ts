// The built dashboard in a real browser, against a mock node with the content security policy of the real one.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { unnamed, weak_texts } from '../support/accessible.js';
import { start_browser, type Session } from '../support/browser.js';
import { hostile, id_of, known } from '../support/fixtures.js';

let session: Session;
before(async () => {
  session = await start_browser();
});
after(() => session.end());

async function open(hash: string): Promise<void> {
  await session.page.goto('about:blank');
  await session.page.goto(`${session.mock.url}/${hash}`);
}
async function seen(text: string | RegExp): Promise<void> {
  await session.page.getByText(text).first().waitFor();
}
// The canvas has more than one colour: something is drawn on it.
function colours_drawn(selector: string): Promise<number> {
  return session.page.locator(selector).evaluate((canvas: HTMLCanvasElement) => {
    const pixels = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    const found = new Set<number>();
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i + 3] === 255) found.add(((pixels[i] ?? 0) << 16) | ((pixels[i + 1] ?? 0) << 8) | (pixels[i + 2] ?? 0));
    }
    return found.size;
  });
}
async function waterfall_drawn(rows: number): Promise<void> {
  await session.page.locator(`.bars canvas[data-rows="${rows}"]`).waitFor();
}

test('the overview shows rates, leaders, doubt and examples of aborts', async () => {
  await open('');
  await seen('Transactions at n1');
  await session.page.locator('.u-wrap canvas').waitFor();
  await seen('of the 49 newest that ended');
  await seen('the oldest for 42.00 s');
  await seen('★ n1');
  await seen('leads c0 in term 4');
  await seen('acct/alice would fall below 0');
});

test('the list filters at the nodes and on the page, and the url says so', async () => {
  const { page } = session;
  await open('#/txns');
  await seen('100 listed');
  await page.keyboard.press('/');
  await page.keyboard.type('alice');
  await seen(/of the 100 on this page/);
  assert.match(page.url(), /q=alice/);
  for (const row of await page.locator('table.txns tbody tr').allTextContents()) assert.match(row, /alice/);
  await page.getByRole('button', { name: 'Clear' }).click();
  await Promise.all([page.waitForRequest(/state=ABORTED/), page.getByLabel('State').selectOption('ABORTED')]);
  await page.waitForFunction(() => [...document.querySelectorAll('table.txns tbody tr')].every((row) => row.textContent?.includes('ABORTED')));
  await page.reload();
  assert.equal(await page.getByLabel('State').inputValue(), 'ABORTED');
});

test('a page further has other transactions, and back is the newest', async () => {
  const { page } = session;
  await open('#/txns');
  const first = await page.locator('table.txns td a').first().getAttribute('href');
  await page.getByRole('button', { name: 'Older' }).click();
  await seen('Older transactions');
  await page.waitForFunction((href) => {
    const link = document.querySelector('table.txns td a');
    return link !== null && link.getAttribute('href') !== href;
  }, first);
  await page.getByRole('link', { name: 'Newest' }).click();
  await page.waitForFunction((href) => document.querySelector('table.txns td a')?.getAttribute('href') === href, first);
});

test('paused, nothing is asked', async () => {
  const { page, mock } = session;
  await open('#/txns');
  await seen('100 listed');
  await page.keyboard.press('p');
  await page.getByRole('button', { name: 'Go on', pressed: true }).waitFor();
  const asked = () => mock.asked.filter((path) => path.startsWith('/api/v1/txns')).length;
  const before_pause = asked();
  // Nothing is to happen, so there is no event to wait for: more time than two polls would take.
  const stamp = await page.evaluate(() => Date.now());
  await page.waitForFunction((from) => Date.now() - from > 3_200, stamp);
  assert.equal(asked(), before_pause);
});

test('j and Enter open a transaction', async () => {
  const { page } = session;
  await open('#/txns');
  await seen('100 listed');
  await page.keyboard.press('p');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await waterfall_drawn(13);
  assert.match(page.url(), new RegExp(`#/txn/${id_of(known.committed)}`));
});

test('a committed transfer is a waterfall with phases, lines, the group that delayed it and why', async () => {
  const { page } = session;
  await open(`#/txn/${id_of(known.committed)}`);
  await waterfall_drawn(13);
  assert.ok((await colours_drawn('.bars canvas')) > 8);
  await seen('42 % of 8.1 ms went into prepare; s2 was waited for longest: 2.4 ms its disk took to sync');
  await seen('commit point at 6.9 ms');
  await seen('client answered at 8.1 ms');
  assert.deepEqual((await page.getByRole('list', { name: 'Phases' }).getByRole('listitem').allTextContents()).map((text) => text.trim()), [
    'execute 2.2 ms 27 %', 'prepare 3.4 ms 42 %', 'decide 2.5 ms 31 %', 'commit 2.9 ms behind the answer',
  ]);
  await page.getByRole('option', { name: /propose s2/ }).click();
  const side = page.getByRole('complementary', { name: 'The selected span' });
  await side.getByText('s2#88003').waitFor();
  await side.getByText(`assentctl txn explain ${id_of(known.committed)}`).waitFor();
  await page.getByRole('button', { name: 'Aligned clocks' }).click();
  await seen(/1 span moved into the parent/);
  await side.getByText('moved by 200 µs').waitFor();
  assert.match(page.url(), /aligned=1.*span=w2/);
  const plain = await colours_drawn('.bars canvas');
  await page.keyboard.press('c');
  await page.getByRole('button', { name: 'Critical path', pressed: true }).waitFor();
  assert.ok(plain > 8);
  await page.keyboard.press('t');
  assert.equal(await page.locator('.fall tbody tr').count(), 13);
});

test('zooming in and f change what is drawn', async () => {
  const { page } = session;
  await open(`#/txn/${id_of(known.committed)}`);
  await waterfall_drawn(13);
  const fit = page.getByRole('button', { name: 'Fit: all of it' });
  assert.ok(await fit.isDisabled());
  await page.keyboard.press('+');
  await page.waitForFunction(() => !document.querySelector<HTMLButtonElement>('.corner button')?.disabled);
  await page.keyboard.press('f');
  await page.waitForFunction(() => document.querySelector<HTMLButtonElement>('.corner button')?.disabled);
});

test('markup in names and messages stays text', async () => {
  const { page } = session;
  await open(`#/txn/${id_of(known.aborted)}`);
  await waterfall_drawn(4);
  await page.locator('p.why', { hasText: hostile }).waitFor();
  await open('#/txns');
  await page.locator('td.why', { hasText: hostile }).first().waitFor();
  await open('#/events');
  await page.locator('td', { hasText: hostile }).first().waitFor();
  await open(`#/txn/${encodeURIComponent(hostile)}`);
  await page.locator('p.mono', { hasText: hostile }).waitFor();
  assert.equal(await page.evaluate(() => 'hacked' in window), false);
  assert.equal(await page.locator('#app img, #app script').count(), 0);
});

test('in doubt: how long, why, what each shard sees, whom it blocks', async () => {
  const { page } = session;
  await open('#/in-doubt');
  const one = page.locator('.doubt', { hasText: id_of(known.in_doubt) });
  await one.getByText('for 42.00 s').waitFor();
  await one.getByText('no decision can be read: c0 has no leader; 1 of its 3 members answers, 2 are needed').waitFor();
  await one.getByText('◆ in-doubt').first().waitFor();
  assert.equal(await one.locator(`a[title="${id_of(7)}"]`).count(), 1);
  await open(`#/txn/${id_of(known.in_doubt)}`);
  await waterfall_drawn(3);
  await seen('Without what n3 (no answer in 500 ms) knows.');
  await seen('What it waits for');
});

test('groups by nodes, by shape and word', async () => {
  await open('#/groups');
  await seen('degraded: 2/3');
  const row = session.page.getByRole('row', { name: /s2/ });
  assert.match((await row.textContent()) ?? '', /● follower★ leader✕ does not answer/);
  await seen('○ 412 behind');
});

test('how far nodes are from each other, and which are lost', async () => {
  await open('#/groups');
  const rows = session.page.locator('table.distances tbody tr');
  await rows.first().waitFor();
  const words = await rows.allTextContents();
  assert.match(words[0] ?? '', /^n1420 µs✕ lost$/);
  assert.match(words[1] ?? '', /^n2420 µs○ 61\.0 ms$/);
});

test('of 2,000 spans only the rows that are seen are elements, wherever it is scrolled to', async () => {
  const { page } = session;
  await open(`#/txn/${id_of(known.huge)}`);
  await waterfall_drawn(2_000);
  assert.ok((await page.locator('.names .name').count()) < 40);
  await page.locator('.waterfall').evaluate((element) => (element.scrollTop = 24 * 1_500));
  await page.getByRole('option', { name: /^Prepare s/ }).first().waitFor();
  await page.waitForFunction(() => Number(document.querySelector('.name')?.getAttribute('aria-posinset')) > 1_450);
  assert.ok((await page.locator('.names .name').count()) < 40);
});

test('who blocks whom stands as chains', async () => {
  const { page } = session;
  await open('#/contention');
  const rows = page.locator('table.chains tbody tr');
  await rows.first().waitFor();
  const words = (await rows.allTextContents()).map((text) => text.replace(/\u00a0/g, ' '));
  assert.equal(words.length, 5);
  assert.match(words[0] ?? '', /◆ in-doubt.*41\.00 s.*3 \+ 2 queries/);
  assert.match(words[1] ?? '', /^└ waits, at depth 1: .*s1.*▶ waiting/);
  assert.match(words[2] ?? '', /^ {3}└ waits, at depth 2: .*s2/);
  assert.match(words[1] ?? '', /accounts\('alice'\)/);
  const keys = page.locator('table.keys-held tbody tr');
  assert.match((await keys.first().textContent()) ?? '', /^accounts\('alice'\)s121$/);
  await page.locator('table.keys-held th', { hasText: hostile }).waitFor(); // as text
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForFunction((id) => location.hash === `#/txn/${id}`, id_of(7));
});

test('a rectangle on the heat map lists the transactions in it', async () => {
  const { page } = session;
  await open('#/latency');
  const strip = page.locator('canvas.heat').first();
  await strip.waitFor();
  assert.ok((await colours_drawn('canvas.heat >> nth=0')) > 2);
  assert.deepEqual(await page.locator('.chart h3').allTextContents(), ['total', 'execute', 'prepare', 'decide', 'commit']);
  const box = await strip.boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + 60, box.y + 1);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 2, box.y + 40);
  await page.mouse.up();
  await page.getByRole('heading', { name: /Picked: total above/ }).waitFor();
  assert.match(page.url(), /pick=total%2C/);
  await page.locator('table.txns tbody tr').first().waitFor();
  assert.match(page.url(), /shown=\d+-\d+/);
  await page.reload();
  await page.getByRole('heading', { name: /Picked: total above/ }).waitFor();
  await page.getByRole('combobox', { name: 'Pick by' }).selectOption('prepare');
  await page.getByRole('combobox', { name: 'above' }).selectOption({ label: '1.0 ms' });
  await page.getByRole('heading', { name: /Picked: prepare above 1\.0 ms/ }).waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByRole('heading', { name: /Picked/ }).waitFor({ state: 'detached' });
});

test('what is not there says why and what to do', async () => {
  const { page, mock } = session;
  mock.silent.now = true;
  await open('#/txns');
  await seen('No node has seen a transaction since it started.');
  await open('#/in-doubt');
  await seen('Nothing is in doubt.');
  await open('#/contention');
  await seen('Nobody waits for a lock.');
  await open('#/latency');
  await seen('No transaction that the nodes remember began in this time.');
  await open('#/events');
  await seen('No node has recorded an event since it started.');
  await open('#/groups');
  await seen('No node answered with its groups.');
  await open('');
  await seen('This node has not coordinated a transaction since it started.');
  mock.silent.now = false;
  await open(`#/txn/${id_of(99_999)}`);
  await seen(`assentctl txn get ${id_of(99_999)}`);
  await open('#/nowhere');
  await seen('There is no such page.');
  assert.ok(await page.getByRole('link', { name: 'Go to the overview' }).isVisible());
});

const hashes = ['', '#/txns', '#/in-doubt', '#/contention', '#/latency', '#/groups', '#/events', `#/txn/${id_of(known.committed)}`, `#/txn/${id_of(known.in_doubt)}`];

test('every control has a name, every table a caption, every page one heading', async () => {
  const { page } = session;
  for (const hash of hashes) {
    await open(hash);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.locator('section.panel table, .waterfall, .doubt, canvas.heat').first().waitFor();
    assert.deepEqual(await unnamed(page), [], hash);
  }
});

test('text has a contrast of 4.5 to 1, light and dark, on every page', async () => {
  const { page } = session;
  for (const theme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: theme });
    for (const hash of hashes) {
      await open(hash);
      await page.locator('section.panel table, .waterfall, .doubt, canvas.heat').first().waitFor();
      assert.deepEqual(await weak_texts(page), [], `${theme} ${hash}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
});

test('the check of contrast finds what is too weak', async () => {
  const { page } = session;
  await open('#/events');
  await seen('Events');
  await page.evaluate(() => {
    const text = document.createElement('p');
    text.textContent = 'hardly to be read';
    text.style.color = '#999999';
    document.querySelector('main')?.append(text);
  });
  assert.match((await weak_texts(page)).join(), /hardly to be read/);
});

test('the theme is chosen and kept; help opens and closes by key', async () => {
  const { page } = session;
  await open('');
  await page.getByRole('button', { name: /^Theme: auto/ }).click();
  await page.getByRole('button', { name: /^Theme: dark/ }).waitFor();
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset['theme']), 'dark');
  await page.getByRole('button', { name: /^Theme: dark/ }).click();
  await page.getByRole('button', { name: /^Theme: light/ }).click();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Help' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Help' }).waitFor({ state: 'detached' });
});

test('a narrow screen has no sideways scrolling of the page', async () => {
  const { page } = session;
  await page.setViewportSize({ width: 390, height: 800 });
  for (const hash of ['', '#/txns', '#/in-doubt', '#/contention', '#/latency', '#/groups', '#/events', `#/txn/${id_of(known.committed)}`]) {
    await open(hash);
    await page.locator('section.panel table, .waterfall, .doubt, canvas.heat').first().waitFor();
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${hash}: ${over} pixels too wide`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
});

test('a node that goes away is told, and what it said before stays', async () => {
  const { page, mock } = session;
  await open('#/txns');
  await seen('100 listed');
  await page.route('**/api/v1/txns*', (route) => route.abort());
  await page.getByRole('alert').getByText('the node does not answer').waitFor();
  assert.ok((await page.locator('table.txns tbody tr').count()) === 100);
  await page.unroute('**/api/v1/txns*');
  await page.getByRole('alert').waitFor({ state: 'detached' });
  session.problems = session.problems.filter((text) => !text.includes('net::ERR_FAILED'));
  assert.ok(mock.asked.length > 0);
});

test('nothing was reported on the console, and nothing was asked of anybody else', () => {
  assert.deepEqual(session.problems, []);
});
