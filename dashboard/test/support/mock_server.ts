// The http port of a node that does not exist: dashboard/dist as assentd serves it, with its content security policy,
// and the api from fixtures.ts. On a free port of loopback.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import * as fixtures from './fixtures.js';

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml',
};

export interface Mock {
  url: string;
  asked: string[]; // paths with queries
  silent: { now: boolean }; // the node has no transactions, events and groups
  close: () => Promise<void>;
}

function say(response: ServerResponse, body: unknown): void {
  if (body === null) {
    response.writeHead(404, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ error: { code: 'TXN_NOT_RECORDED', message: 'no node that answers has a record of it' } }));
    return;
  }
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

function serve_file(dist: string, path: string, response: ServerResponse): void {
  const file = normalize(join(dist, path === '/' ? 'index.html' : path));
  if (!file.startsWith(dist) || !existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404);
    response.end();
    return;
  }
  response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
  createReadStream(file).pipe(response);
}

function stream(request: IncomingMessage, response: ServerResponse, empty: boolean): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const behind = Number(request.headers['last-event-id'] ?? 0);
  let second = 0;
  const next = () => {
    const now = Date.now() * 1_000;
    const part = fixtures.overview(now, second, second === 0 ? behind : 99);
    if (empty) Object.assign(part, { started: '0', committed: '0', aborted: '0', inDoubtOldestMillis: '0', newest: [], events: [] });
    response.write(`id: 4\nevent: overview\ndata: ${JSON.stringify(part)}\n\n`);
    second += 1;
  };
  next();
  const timer = setInterval(next, 1_000);
  request.on('close', () => clearInterval(timer));
}

export async function start_mock(dist: string, port = 0): Promise<Mock> {
  const asked: string[] = [];
  const silent = { now: false };
  const answer = (url: URL, now: number): unknown => {
    const [, , , kind, id, what] = url.pathname.split('/');
    if (kind === 'groups') return silent.now ? { ...fixtures.groups(now), groups: [] } : fixtures.groups(now);
    if (kind === 'cluster') return fixtures.cluster(now);
    if (kind === 'locks') return silent.now ? { ...fixtures.locks(now), sights: [] } : fixtures.locks(now);
    if (kind === 'latency') return silent.now ? { ...fixtures.latency(url.searchParams, now), strips: [], transactions: '0' } : fixtures.latency(url.searchParams, now);
    if (kind === 'events') return silent.now ? { ...fixtures.event_page(now), events: [] } : fixtures.event_page(now);
    if (kind !== 'txns') return null;
    if (id === undefined) return silent.now ? { ...fixtures.page(url.searchParams, now), txns: [], nextCursor: '' } : fixtures.page(url.searchParams, now);
    return what === 'explain' ? fixtures.explain(id, now) : fixtures.trace_of(id, now);
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://mock');
    response.setHeader('Content-Security-Policy', "default-src 'self'");
    response.setHeader('X-Content-Type-Options', 'nosniff');
    if (!url.pathname.startsWith('/api/v1/')) return serve_file(dist, url.pathname, response);
    asked.push(url.pathname + url.search);
    if (url.pathname === '/api/v1/stream') return stream(request, response, silent.now);
    say(response, answer(url, Date.now() * 1_000));
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  const { port: taken } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return { url: `http://127.0.0.1:${taken}`, asked, silent, close };
}
