// Debian's chromium on a mock node, with every error of the page kept.

import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { start_mock, type Mock } from './mock_server.js';

export const dist = join(process.cwd(), 'dist');

export interface Session {
  browser: Browser;
  mock: Mock;
  page: Page;
  problems: string[];
  end: () => Promise<void>;
}

export function watch(page: Page, problems: string[]): void {
  page.on('console', (message) => {
    // The console also reports each 404; those are answers that the page shows.
    if (message.type() === 'error' && !message.text().includes('404')) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
}

export async function start_browser(): Promise<Session> {
  const mock = await start_mock(dist);
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const problems: string[] = [];
  watch(page, problems);
  const end = async () => {
    await browser.close();
    await mock.close();
  };
  return { browser, mock, page, problems, end };
}
