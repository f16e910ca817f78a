// Real processes for the tests: databases in a temporary folder, an Assent cluster on free ports, services. All of them end
// with this process, however it ends: each is started under a shell that waits for the end of its own input.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';

export const binaries = process.env['ASSENT_BIN_DIR'] ?? join(__dirname, '..', '..', '..', '..', '..', 'build', 'release', 'bin');
export const assentctl = join(binaries, 'assentctl');

export const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

/** Tries again until it does not throw. */
export async function eventually<T>(what: string, act: () => Promise<T>, withinMs = 60_000): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (Date.now() > end) throw new Error(`${what}: ${String(error)}`);
      await pause(20);
    }
  }
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export function scratchFolder(): string {
  let root = '/tmp';
  try {
    accessSync('/dev/shm', constants.W_OK | constants.X_OK);
    root = '/dev/shm';
  } catch {
    // slower, and good
  }
  const folder = mkdtempSync(join(root, 'assent-ts.'));
  if (process.getuid?.() === 0) chmodSync(folder, 0o777);
  return folder;
}

/** A process under a shell that ends it when our end of the pipe closes. */
class Kept {
  readonly #shell: ChildProcess;
  readonly pid: Promise<number>;
  readonly ended: Promise<void>;

  constructor(folder: string, log: string, prepare: string, command: string, stop: string, user?: string) {
    // A MariaDB server that starts removes the temporary tables in TMPDIR, also those of another one that runs.
    const script =
      `cd ${folder}; export TMPDIR=${folder}; exec 3<&0 4>&1 </dev/null >>${log} 2>&1; ${prepare}; ${command} 3<&- 4>&- & server=$!; echo $server >&4; exec 4>&-; ` +
      `(cat <&3 >/dev/null; kill -${stop} $server) & watcher=$!; wait $server; kill $watcher`;
    const [program, args] = user && process.getuid?.() === 0 ? ['runuser', ['-u', user, '--', 'sh', '-c', script]] : ['sh', ['-c', script]];
    this.#shell = spawn(program as string, args as string[], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#shell.stdin?.on('error', () => undefined);
    this.ended = new Promise((resolve) => this.#shell.on('exit', () => resolve()));
    this.pid = new Promise((resolve, reject) => {
      this.#shell.stdout?.once('data', (text: Buffer) => resolve(Number(text.toString())));
      this.#shell.on('exit', () => reject(new Error(`it did not start: ${read(log)}`)));
    });
    this.pid.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#shell.stdin?.end();
    await this.ended;
  }
  async kill(): Promise<void> {
    process.kill(await this.pid, 'SIGKILL');
    await this.ended;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

// ---- databases ----

export interface Place {
  host: string;
  port: number;
  user: string;
  database: string;
}

/** A database server; create() makes a new database on it. */
export class DatabaseServer {
  readonly #folder = scratchFolder();
  #kept: Kept | undefined;
  #count = 0;
  private constructor(
    readonly kind: 'mariadb' | 'postgres',
    readonly port: number,
  ) {}

  static async start(kind: 'mariadb' | 'postgres'): Promise<DatabaseServer> {
    const [port] = await freePorts(1);
    const out = new DatabaseServer(kind, port as number);
    const log = join(out.#folder, 'log');
    out.#kept =
      kind === 'postgres'
        ? new Kept(
            out.#folder,
            log,
            'bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); $bin/initdb -D data -A trust -U postgres -E UTF8 --locale=C --no-sync || exit 1',
            `$bin/postgres -D data -p ${out.port} -k $PWD -c listen_addresses=127.0.0.1 -c dynamic_shared_memory_type=mmap -c max_connections=60`,
            'QUIT',
            'postgres',
          )
        : new Kept(
            out.#folder,
            log,
            'mariadb-install-db --no-defaults --datadir=$PWD/data --auth-root-authentication-method=normal --skip-test-db --skip-log-bin || exit 1',
            `$(command -v mariadbd || echo /usr/sbin/mariadbd) --no-defaults --datadir=$PWD/data --socket=$PWD/socket --port=${out.port} ` +
              '--bind-address=127.0.0.1 --pid-file=$PWD/pid --innodb-buffer-pool-size=32M --skip-networking=0',
            'KILL',
            'mysql',
          );
    try {
      await eventually(`${kind} on ${port}`, () => out.#execute('', 'SELECT 1'), 90_000);
      if (kind === 'mariadb') {
        await out.#execute('', "CREATE USER tester@'127.0.0.1'");
        await out.#execute('', "GRANT ALL ON *.* TO tester@'127.0.0.1'");
      }
    } catch (error) {
      await out.stop();
      throw new Error(`${String(error)}\n${read(log).slice(-2_000)}`);
    }
    return out;
  }

  async create(): Promise<Place> {
    const database = `test${++this.#count}_${randomBytes(3).toString('hex')}`;
    await this.#execute('', `CREATE DATABASE ${database}`);
    return this.place(database);
  }
  place(database: string): Place {
    return { host: '127.0.0.1', port: this.port, user: this.kind === 'postgres' ? 'postgres' : 'tester', database };
  }
  async stop(): Promise<void> {
    await this.#kept?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #execute(database: string, sql: string): Promise<void> {
    const place = this.place(database || (this.kind === 'postgres' ? 'postgres' : 'mysql'));
    if (this.kind === 'postgres') {
      await new Look('postgres', place).once(sql);
    } else {
      const db = await createConnection({ socketPath: join(this.#folder, 'socket'), user: 'root' });
      await db.query(sql).finally(() => db.end());
    }
  }
}

/** What a test looks at a database with. */
export class Look {
  #client: Client | undefined;
  #db: Awaited<ReturnType<typeof createConnection>> | undefined;
  constructor(
    readonly kind: 'mariadb' | 'postgres',
    private readonly place: Place,
  ) {}

  async rows(sql: string): Promise<Record<string, unknown>[]> {
    if (this.kind === 'postgres') {
      if (!this.#client) {
        const client = new Client(this.place);
        client.on('error', () => undefined);
        await client.connect();
        this.#client = client;
      }
      const results: unknown = await this.#client.query(sql);
      return (results as { rows?: Record<string, unknown>[] }).rows ?? [];
    }
    this.#db ??= await createConnection({ ...this.place, multipleStatements: true });
    const [rows] = await this.#db.query(sql);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  }
  async number(sql: string): Promise<number> {
    const [row] = await this.rows(sql);
    return Number(Object.values(row ?? { none: -1 })[0]);
  }
  async once(sql: string): Promise<void> {
    await this.rows(sql).finally(() => this.end());
  }
  async end(): Promise<void> {
    await this.#client?.end();
    await this.#db?.end();
  }
}

// ---- a cluster ----

/** Three nodes; coordinator c0 and shards s1, s2, with a replica on each. */
export class Cluster {
  readonly #folder = scratchFolder();
  readonly #nodes = new Map<string, Kept>();
  private constructor(readonly endpoints: string[]) {}

  static async start(): Promise<Cluster> {
    const ports = await freePorts(6);
    const out = new Cluster(ports.slice(0, 3).map((port) => `127.0.0.1:${port}`));
    const names = ['n1', 'n2', 'n3'];
    const list = (from: number): string => names.map((name, i) => `${name}: "127.0.0.1:${ports[from + i]}"`).join(', ');
    names.forEach((name, i) => {
      mkdirSync(join(out.#folder, name), { recursive: true });
      writeFileSync(
        join(out.#folder, `${name}.yaml`),
        [
          `node: { name: ${name}, data_dir: "${out.#folder}/${name}" }`,
          `listen: { client: "127.0.0.1:${ports[i]}", peer: "127.0.0.1:${ports[3 + i]}" }`,
          `cluster:`,
          `  name: tests`,
          `  peers: { ${list(3)} }`,
          `  clients: { ${list(0)} }`,
          `  groups:`,
          `    - { id: c0, role: coordinator, members: [n1, n2, n3] }`,
          `    - { id: s1, role: shard, members: [n1, n2, n3] }`,
          `    - { id: s2, role: shard, members: [n1, n2, n3] }`,
          '',
        ].join('\n'),
      );
      out.startNode(name);
    });
    await out.ready();
    return out;
  }

  startNode(name: string): void {
    const config = join(this.#folder, `${name}.yaml`);
    this.#nodes.set(name, new Kept(this.#folder, join(this.#folder, `${name}.log`), 'true', `${binaries}/assentd start --config ${config}`, 'KILL'));
  }
  async killNode(name: string): Promise<void> {
    await this.#nodes.get(name)?.kill();
  }
  async ready(): Promise<void> {
    await eventually('a leader for every group', () => this.ctl('cluster', 'health'));
  }
  /** The node that leads the group. */
  async leader(group: string): Promise<string> {
    const status = JSON.parse(await this.ctl('-o', 'json', 'cluster', 'status')) as { groups: { name: string; leader: string }[] };
    const found = status.groups.find((one) => one.name === group)?.leader;
    if (!found) throw new Error(`${group} has no leader`);
    return found;
  }
  async ctl(...args: string[]): Promise<string> {
    const done = await promisify(execFile)(assentctl, ['--endpoints', this.endpoints.join(','), '--timeout', '5s', ...args]);
    return done.stdout;
  }
  async sql(shard: string, text: string): Promise<void> {
    await this.ctl('sql', '--shard', shard, text);
  }
  async stop(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

// ---- services ----

/** A process of ours (a compiled program of test/ or example/), which says "listening PORT" when it serves. */
export class ServiceProcess {
  #child: ChildProcess | undefined;
  port = 0;
  constructor(
    private readonly program: string,
    private readonly flags: Record<string, string>,
    private readonly environment: Record<string, string> = {},
  ) {}

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }
  /** On the port that it had before, if any. */
  async start(): Promise<void> {
    if (this.port === 0) [this.port = 0] = await freePorts(1);
    const flags = Object.entries({ ...this.flags, listen: this.address }).flatMap(([key, value]) => [`--${key}`, value]);
    const child = spawn(process.execPath, [this.program, ...flags], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...this.environment },
    });
    this.#child = child;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const hear = (text: Buffer): void => {
        said += text.toString();
        if (said.includes('listening')) resolve();
      };
      child.stdout?.on('data', hear);
      child.stderr?.on('data', hear);
      child.on('exit', (code) => reject(new Error(`${this.program} ended with ${code}: ${said}`)));
    });
  }
  /** When it has ended by itself. */
  async ended(): Promise<string | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.signalCode ?? null;
    await new Promise((resolve) => child.on('exit', resolve));
    return child.signalCode;
  }
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.ended();
  }
}

/** For programs of ours: they end when the test that started them does. */
export function endWithParent(): void {
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
}
