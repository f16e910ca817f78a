// The barrier of a service whose data is in PostgreSQL: registers in the service's own database.
//
//   const barrier = await PostgresBarrier.open({ connection: { host, database, user } });
//   class Ledger implements Participant<Client> { async prepare(branch, db, payload) { await db.query(...); return yes(); } ... }
//
// A few connections of its own; the service's work runs on the one that it is given, in the same transaction as the
// register. Isolation is read committed: lock what you read and rely on (SELECT ... FOR UPDATE). A connection that was
// lost is made again when it is next taken. After a statement that failed PostgreSQL takes nothing but a rollback to a
// savepoint: a prepare that goes on after one and says yes ends as "ask again", and one that says no is recorded.
//
// Refused, each with what to do instead: a server that does not sync (fsync=off), a connection of the service's to another
// database, and a table of our names with other columns. synchronous_commit is turned on for its connections.
import { Client, type ClientConfig, type QueryResult } from 'pg';

import { LocalError, type Barrier, type BranchKey, type InDoubt, type LocalErrorKind, type LocalTransaction } from './participant/barrier';
import { ConnectionPool } from './participant/pool';
import type { Register } from './participant/register';
import { barrierTable, branchesTable, checkColumns, checkVersion, firstIdOf, fromRow, inDoubtFrom, latestCreated, newIdentity, tablesVersion, toRow } from './participant/tables';

export interface PostgresOptions {
  /** As `pg` takes it; the database of the service's work. */
  connection: ClientConfig;
  /** Local transactions at a time. */
  connections?: number;
  /** How long to wait for a free connection, for a new one, and for a lock. */
  patienceMs?: number;
  /** What the service's work runs on otherwise, to be compared: refused when it is to another database. */
  work?: Queryable;
}
/** A client or pool of `pg`. */
export interface Queryable {
  query(text: string): Promise<{ rows: unknown[] }>;
}

type Texts = (string | null)[];

// Two processes of a service that start at once would both make the tables; the number is that of the C++ library.
const lockSchema = 'SELECT pg_advisory_xact_lock(7311142560397542996)';
const schema =
  'CREATE TABLE IF NOT EXISTS assent_branches(' +
  'txn_id text COLLATE "C" NOT NULL, branch text COLLATE "C" NOT NULL, state text NOT NULL, epoch bigint, ' +
  'number bigint, coordinator text NOT NULL, refusal text NOT NULL, message text NOT NULL, result bytea NOT NULL, ' +
  'payload bytea NOT NULL, changed_at bigint NOT NULL, PRIMARY KEY(txn_id, branch));' +
  "CREATE INDEX IF NOT EXISTS assent_branches_in_doubt ON assent_branches(changed_at) WHERE state = 'prepared';" +
  'CREATE TABLE IF NOT EXISTS assent_barrier(' +
  'id integer PRIMARY KEY CHECK(id = 1), version integer NOT NULL, identity text NOT NULL, ' +
  'forgotten_through bigint NOT NULL)';
// The row's identity, and the database's own number: one that was made from this one as its template has the same row.
const identity =
  "SELECT identity || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS identity FROM assent_barrier WHERE id = 1";

// Whatever parsers the program has set for its own queries, ours are answered as text.
const asText = { getTypeParser: () => (text: unknown) => text };

function kindOf(error: unknown): LocalErrorKind | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  const fromServer = typeof code === 'string' && typeof severity === 'string';
  if (fromServer && (code === '40001' || code === '40P01')) return 'conflict'; // serialization, deadlock
  if (fromServer && (code === '55P03' || code === '53300')) return 'busy'; // lock timeout, too many connections
  if (fromServer && (code.startsWith('08') || code.startsWith('57P'))) return 'lost'; // the server goes down
  if (fromServer) return 'io';
  const lost = /Connection terminated|connection error|not queryable|client was closed/i.test(error.message);
  return lost || ['ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'ETIMEDOUT'].includes(String(code)) ? 'lost' : undefined;
}

function said(doing: string, error: unknown): LocalError {
  const text = error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error);
  return new LocalError(kindOf(error) ?? 'io', `PostgreSQL, ${doing.slice(0, 60)}: ${text}`);
}

class Connection {
  broken = false;
  private constructor(readonly client: Client) {
    client.on('error', () => (this.broken = true));
    client.on('end', () => (this.broken = true));
  }

  static async open(config: ClientConfig, patienceMs: number): Promise<Connection> {
    const client = new Client({ application_name: 'assent barrier', connectionTimeoutMillis: patienceMs, ...config });
    const out = new Connection(client);
    try {
      await client.connect();
    } catch (error) {
      out.end();
      throw new LocalError('lost', `PostgreSQL at ${client.host}:${client.port} cannot be reached: ${said('connecting', error).message}`);
    }
    try {
      await out.run(`SET lock_timeout = ${Math.floor(patienceMs)}`);
      // Off: a yes that was answered could be lost with the power. The other words all wait for the disk.
      const [sync] = await out.rows('SHOW synchronous_commit');
      if (sync?.[0] === 'off') await out.run('SET synchronous_commit = on');
    } catch (error) {
      out.end();
      throw error;
    }
    return out;
  }

  end(): void {
    this.broken = true;
    void this.client.end().catch(() => undefined);
  }

  async run(text: string, values?: unknown[]): Promise<QueryResult<Texts>> {
    try {
      return await this.client.query<Texts>({ text, ...(values ? { values } : {}), rowMode: 'array', types: asText });
    } catch (error) {
      throw said(text, error);
    }
  }
  async rows(text: string, values: unknown[] = []): Promise<Texts[]> {
    return (await this.run(text, values)).rows;
  }
}

async function checkTables(connection: Connection): Promise<void> {
  for (const table of [branchesTable, barrierTable]) {
    const look = 'SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped';
    const columns = (await connection.rows(look, [table])).map((row) => row[0] ?? '');
    if (columns.length > 0) checkColumns(table, columns);
  }
}

async function prepareDatabase(connection: Connection): Promise<void> {
  const [fsync] = await connection.rows('SHOW fsync');
  if (fsync?.[0] === 'off') throw new LocalError('refused', 'the PostgreSQL server runs with fsync=off: a yes may be lost with the power. Turn it on');
  await connection.run('BEGIN');
  try {
    await connection.run(lockSchema);
    await checkTables(connection);
    await connection.run(schema);
    await connection.run('INSERT INTO assent_barrier VALUES(1, $1, $2, 0) ON CONFLICT DO NOTHING', [tablesVersion, newIdentity()]);
    const [version] = await connection.rows('SELECT version FROM assent_barrier');
    checkVersion(version?.[0] ?? undefined);
    await connection.run('COMMIT');
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

class Local implements LocalTransaction<Client> {
  #writes = false;
  #idle = true; // no transaction is open, as far as is known
  #fit = true;

  constructor(
    private held: Connection,
    private readonly again: () => Promise<Connection>,
    private readonly back: (connection: Connection, fit: boolean) => void,
  ) {}

  get connection(): Client {
    return this.held.client;
  }

  async begin(access: 'read' | 'write'): Promise<void> {
    this.#writes = access === 'write';
    const text = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE';
    this.#idle = false;
    try {
      await this.held.run(text);
    } catch (error) {
      if (!(error instanceof LocalError) || error.kind !== 'lost') throw error;
      // Lost while nobody used it, as after a restart of the server: nothing hangs on it yet.
      const fresh = await this.again();
      this.held.end();
      this.held = fresh;
      await this.held.run(text);
    }
  }

  async load(key: BranchKey): Promise<Register | undefined> {
    const text =
      "SELECT state, epoch::text, number::text, coordinator, refusal, message, encode(result, 'hex'), encode(payload, 'hex'), " +
      `changed_at::text FROM assent_branches WHERE txn_id = $1 AND branch = $2${this.#writes ? ' FOR UPDATE' : ''}`;
    const [row] = await this.held.rows(text, [key.txnId, key.name]);
    if (!row) return undefined;
    const [state, epoch, number, coordinator, refusal, message, result, payload, changedAt] = row;
    return fromRow({
      state: state ?? '',
      epoch: epoch ?? null,
      number: number ?? null,
      coordinator: coordinator ?? '',
      refusal: refusal ?? '',
      message: message ?? '',
      result: Buffer.from(result ?? '', 'hex'),
      payload: Buffer.from(payload ?? '', 'hex'),
      changedAt: changedAt ?? '0',
    });
  }

  async insert(key: BranchKey, row: Register): Promise<boolean> {
    const text = 'INSERT INTO assent_branches VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT DO NOTHING';
    return (await this.held.run(text, parameters(key, row))).rowCount === 1;
  }

  async update(key: BranchKey, row: Register): Promise<void> {
    const text =
      'UPDATE assent_branches SET state = $3, epoch = $4, number = $5, coordinator = $6, refusal = $7, message = $8, ' +
      'result = $9, payload = $10, changed_at = $11 WHERE txn_id = $1 AND branch = $2';
    if ((await this.held.run(text, parameters(key, row))).rowCount === 1) return;
    throw new LocalError('io', "the branch's row in assent_branches is gone: somebody else deleted it");
  }

  async forgottenThrough(): Promise<number> {
    const [row] = await this.held.rows('SELECT forgotten_through::text FROM assent_barrier WHERE id = 1');
    if (!row) throw new LocalError('io', 'table assent_barrier has lost its row');
    return Number(row[0]);
  }

  async beginWork(): Promise<void> {
    await this.held.run('SAVEPOINT assent_work');
  }
  keepWork(): Promise<void> {
    return this.#settle('RELEASE SAVEPOINT assent_work');
  }
  async undoWork(): Promise<void> {
    await this.#settle('ROLLBACK TO SAVEPOINT assent_work');
    await this.held.run('RELEASE SAVEPOINT assent_work');
  }
  async #settle(text: string): Promise<void> {
    try {
      await this.held.run(text);
    } catch (error) {
      const why = "the service's work ended the local transaction by itself, or went on after a statement of it had failed";
      throw error instanceof LocalError ? new LocalError(error.kind, `${why}: ${error.message}`) : error;
    }
  }

  // PostgreSQL answers a COMMIT of a transaction that has failed with a ROLLBACK, and calls that a success.
  async commit(): Promise<void> {
    const { command } = await this.held.run('COMMIT');
    this.#idle = true;
    if (command !== 'COMMIT') throw new LocalError('io', 'PostgreSQL rolled the local transaction back instead of committing it');
  }

  async rollback(): Promise<void> {
    if (this.#idle) return;
    try {
      await this.held.run('ROLLBACK');
      this.#idle = true;
    } catch {
      this.#fit = false; // the pool does not take it back
    }
  }

  async inDoubt(before: number, atMost: number): Promise<InDoubt[]> {
    const text =
      'SELECT txn_id, branch, epoch::text, number::text, coordinator, changed_at::text FROM assent_branches ' +
      "WHERE state = 'prepared' AND changed_at <= $1 ORDER BY changed_at LIMIT $2";
    const rows = await this.held.rows(text, [Math.floor(before), atMost]);
    return rows.map(([txnId, name, epoch, number, coordinator, since]) =>
      inDoubtFrom({ txnId: txnId ?? '', name: name ?? '', epoch: epoch ?? '0', number: number ?? '0', coordinator: coordinator ?? '', since: since ?? '0' }),
    );
  }

  async forget(before: number, atMost: number): Promise<number> {
    try {
      await this.begin('write');
      const text =
        'DELETE FROM assent_branches WHERE (txn_id, branch) IN (SELECT txn_id, branch FROM assent_branches WHERE ' +
        "txn_id < $1 AND state <> 'prepared' AND changed_at < $2 ORDER BY txn_id LIMIT $3 FOR UPDATE SKIP LOCKED) " +
        'RETURNING txn_id';
      const gone = (await this.held.rows(text, [firstIdOf(before), Math.floor(before), atMost])).map((row) => row[0] ?? '');
      const mark = 'UPDATE assent_barrier SET forgotten_through = greatest(forgotten_through, $1) WHERE id = 1';
      await this.held.run(mark, [latestCreated(gone)]);
      await this.commit();
      return gone.length;
    } finally {
      await this.rollback();
    }
  }

  classify(error: unknown): LocalErrorKind | undefined {
    return kindOf(error);
  }
  release(): void {
    this.back(this.held, this.#fit);
  }
}

function parameters(key: BranchKey, register: Register): unknown[] {
  const row = toRow(register);
  return [key.txnId, key.name, row.state, row.epoch, row.number, row.coordinator, row.refusal, row.message, row.result, row.payload, row.changedAt];
}

export class PostgresBarrier implements Barrier<Client> {
  private constructor(
    private readonly pool: ConnectionPool<Connection>,
    private readonly make: () => Promise<Connection>,
  ) {}

  /** Makes the tables when they are not there, in the first schema of the search_path. Throws LocalError. */
  static async open(options: PostgresOptions): Promise<PostgresBarrier> {
    const patienceMs = options.patienceMs ?? 5_000;
    const make = (): Promise<Connection> => Connection.open(options.connection, patienceMs);
    const pool = new ConnectionPool<Connection>(options.connections ?? 4, patienceMs, make, (one) => one.end(), (one) => one.broken);
    const first = await pool.take();
    const out = new PostgresBarrier(pool, make);
    try {
      await prepareDatabase(first);
      pool.giveBack(first, true);
    } catch (error) {
      pool.giveBack(first, false);
      throw error;
    }
    try {
      if (options.work) await out.sameDatabase(options.work);
    } catch (error) {
      await out.close();
      throw error;
    }
    return out;
  }

  async take(): Promise<LocalTransaction<Client>> {
    return new Local(await this.pool.take(), this.make, (connection, fit) => this.pool.giveBack(connection, fit));
  }

  /** Throws unless the client or pool is to this barrier's database. */
  async sameDatabase(other: Queryable): Promise<void> {
    const own = await this.pool.take();
    let ours: string | null | undefined;
    try {
      ours = (await own.rows(identity))[0]?.[0];
    } finally {
      this.pool.giveBack(own, true);
    }
    const theirs = await other.query(identity).then(
      ({ rows }) => (rows[0] as { identity?: string } | undefined)?.identity,
      () => undefined,
    );
    if (ours && ours === theirs) return;
    throw new LocalError('refused', "the work's connection is to another database than the barrier's: what is done on it does not commit with the registers");
  }

  close(): Promise<void> {
    this.pool.close();
    return Promise.resolve();
  }
}
