// The definitions of the API are the cluster's own: they are copied here by each build, and never edited here.
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const from = join(here, '..', '..', 'txn_proto', 'assent', 'v1');
const to = join(here, 'proto', 'assent', 'v1');
mkdirSync(to, { recursive: true });
for (const name of ['assent.proto', 'participant.proto']) copyFileSync(join(from, name), join(to, name));
