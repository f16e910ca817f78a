// The tests, and what they test, as JavaScript for node, into .tests. Types are checked by `npm run check`.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const sources = ['src', 'test'].flatMap((folder) =>
  readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file)),
);
await build({ entryPoints: sources, outdir: '.tests', outbase: '.', format: 'esm', logLevel: 'warning' });
