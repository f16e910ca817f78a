// node .tests/test/screenshots.js DIR [URL]: each page at two widths, light and dark, as png files; of a mock node, or of
// the one at URL.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { start_browser } from './support/browser.js';
import { id_of, known } from './support/fixtures.js';

const [directory, given] = process.argv.slice(2);
if (directory === undefined) throw new Error('which directory are they to go to?');
mkdirSync(directory, { recursive: true });

const { browser, mock, end } = await start_browser();
const url = given ?? mock.url;
const one = given === undefined ? id_of(known.committed) : await newest(given);
const pages: [string, string, string][] = [
  ['overview', '#/', '.u-wrap canvas, .empty strong'],
  ['transactions', '#/txns', 'table.txns, .empty strong'],
  ['transaction', `#/txn/${one}?critical=1`, '.bars canvas[data-rows], .empty strong'],
  ['in-doubt', '#/in-doubt', '.doubt .why, .empty strong'],
  ['contention', '#/contention', 'table.chains, .empty strong'],
  ['latency', '#/latency', 'canvas.heat, .empty strong'],
  ['groups', '#/groups', 'table.distances td.matrix, .empty strong'],
  ['events', '#/events', 'tr.event, .empty strong'],
];
if (given !== undefined && (await fetch(new URL('/api/v1/dev', given))).ok) pages.push(['demo', '#/demo', '.figure']);

async function newest(base: string): Promise<string> {
  const page = (await (await fetch(new URL('/api/v1/txns?limit=1', base))).json()) as { txns: { txnId: string }[] };
  return page.txns[0]?.txnId ?? 'none';
}

try {
  for (const width of [1440, 390]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const context = await browser.newContext({ viewport: { width, height: width > 400 ? 900 : 844 }, colorScheme, reducedMotion: 'reduce' });
      const page = await context.newPage();
      for (const [name, hash, ready] of pages) {
        await page.goto('about:blank');
        await page.goto(`${url}/${hash}`);
        await page.locator(ready).first().waitFor({ timeout: 30_000 });
        if (name === 'overview') await page.waitForTimeout(3_000); // for a line in the chart
        await page.screenshot({ path: join(directory, `${name}-${width}-${colorScheme}.png`), fullPage: width < 400 && name !== 'transactions' });
      }
      await context.close();
    }
  }
} finally {
  await end();
}
