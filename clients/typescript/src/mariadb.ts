// The barrier of a service whose data is in MariaDB: registers in the service's own database. By `mysql2`.
//
//   const barrier = await MariaDbBarrier.open({ connection: { host, database, user } });
//   class Stock implements Participant<Connection> { async prepare(branch, db, payload) { await db.execute(...); return yes(); } ... }
//
// A few connections of its own; the service's work runs on the one that it is given, in the same transaction as the
// register. Isolation is read committed: lock what you read and rely on (SELECT ... FOR UPDATE). autocommit is off on them,
// so that nothing the work does after a deadlock, which ends its transaction, stays. What MariaDB commits by itself (CREATE,
// ALTER, DROP, TRUNCATE, LOCK TABLES, ...) ends the local transaction and is found out: the branch is a no. Tables of
// MyISAM or Aria do not take part in transactions at all.
//
// Refused, each with what to do instead: a server that does not sync its commits (innodb_flush_log_at_trx_commit,
// sync_binlog), a connection of the service's to another database, and a table of our names with other columns.
import { createConnection, type Connection as MariaDb, type ConnectionOptions, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';

import { LocalError, type Barrier, type BranchKey, type InDoubt, type LocalErrorKind, type LocalTransaction } from './participant/barrier';
import { ConnectionPool } from './participant/pool';
import type { Register } from './participant/register';
import { barrierTable, branchesTable, checkColumns, checkVersion, firstIdOf, fromRow, inDoubtFrom, latestCreated, newIdentity, tablesVersion, toRow } from './participant/tables';

export interface MariaDbOptions {
  /** As `mysql2` takes it, with `database`: the database of the service's work. */
  connection: ConnectionOptions;
  /** Local transactions at a time. */
  connections?: number;
  /** How long to wait for a free connection, for a new one, and for a lock (in whole seconds there). */
  patienceMs?: number;
  /** What the service's work runs on otherwise, to be compared: refused when it is to another database. */
  work?: Queryable;
}
/** A connection or pool of `mysql2/promise`. */
export interface Queryable {
  query(sql: string): Promise<[unknown, unknown]>;
}

type Values = (string | number | null | Buffer)[];

// Two processes of a service that start at once would both make the tables; the lock's name, and the tables, are those of
// the C++ library.
const lockSchema = "CONCAT('assent.', LEFT(DATABASE(), 50))";
// nopad: 'b' and 'b ' are two branches.
const schema = [
  'CREATE TABLE IF NOT EXISTS assent_branches(' +
    'txn_id char(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, ' +
    'branch varchar(200) COLLATE utf8mb4_nopad_bin NOT NULL, ' +
    'state varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, epoch bigint, number bigint, ' +
    'coordinator varchar(200) NOT NULL, refusal varchar(200) NOT NULL, message varchar(2000) NOT NULL, ' +
    'result longblob NOT NULL, payload longblob NOT NULL, changed_at bigint NOT NULL, PRIMARY KEY(txn_id, branch), ' +
    'KEY assent_branches_in_doubt(state, changed_at)) ' +
    'ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin',
  'CREATE TABLE IF NOT EXISTS assent_barrier(' +
    'id integer PRIMARY KEY CHECK(id = 1), version integer NOT NULL, ' +
    'identity varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, forgotten_through bigint NOT NULL) ' +
    'ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin',
];
// The row's identity, and where it is: a database that was copied from this one has the same row.
const identity =
  "SELECT CONCAT(identity, '/', DATABASE(), '/', @@hostname, ':', @@port, @@datadir) AS identity FROM assent_barrier WHERE id = 1";

// Of mysql2's errors: errno is the server's number, fatal means that the connection is gone.
const conflicts = new Set([1213, 1020]); // deadlock; the record has changed
const busies = new Set([1205, 1040, 1203]); // lock wait timeout; too many connections
const losses = new Set([1053, 1077, 1080, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013]);

function kindOf(error: unknown): LocalErrorKind | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errno, code, fatal, sqlState } = error as { errno?: number; code?: string; fatal?: boolean; sqlState?: string };
  if (errno !== undefined && conflicts.has(errno)) return 'conflict';
  if (errno !== undefined && busies.has(errno)) return 'busy';
  if (fatal || (errno !== undefined && losses.has(errno)) || code === 'PROTOCOL_CONNECTION_LOST') return 'lost';
  if (/closed state|connection is (in )?closed/i.test(error.message)) return 'lost';
  return sqlState === undefined ? undefined : 'io';
}

function said(doing: string, error: unknown): LocalError {
  const text = error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error);
  return new LocalError(kindOf(error) ?? 'io', `MariaDB, ${doing.slice(0, 60)}: ${text}`);
}

// Without the password that a URI may have in it.
function placeOf(options: ConnectionOptions): string {
  const { socketPath, uri, host = 'localhost', port = 3306 } = options;
  if (socketPath) return socketPath;
  return uri ? uri.replace(/^.*\/\/(.*@)?/, '').replace(/[/?].*$/, '') : `${host}:${port}`;
}

class Connection {
  broken = false;
  private constructor(readonly db: MariaDb) {
    const gone = (): void => void (this.broken = true);
    // Typed for one event only, and told of all.
    (db as unknown as NodeJS.EventEmitter).on('error', gone).on('end', gone);
  }

  static async open(options: ConnectionOptions, patienceMs: number): Promise<Connection> {
    let db: MariaDb;
    try {
      db = await createConnection({ connectTimeout: patienceMs, ...options, charset: 'utf8mb4' });
    } catch (error) {
      throw new LocalError('lost', `MariaDB at ${placeOf(options)} cannot be reached: ${said('connecting', error).message}`);
    }
    const out = new Connection(db);
    const seconds = Math.max(1, Math.ceil(patienceMs / 1_000));
    try {
      await out.run('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await out.run(
        `SET SESSION autocommit = 0, SESSION completion_type = 'NO_CHAIN', ` +
          `SESSION innodb_lock_wait_timeout = ${seconds}, SESSION lock_wait_timeout = ${seconds}, ` +
          `SESSION sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_TRANS_TABLES', 'NO_ENGINE_SUBSTITUTION')`,
      );
    } catch (error) {
      out.end();
      throw error;
    }
    return out;
  }

  end(): void {
    this.broken = true;
    this.db.destroy();
  }

  // Our own statements go as prepared ones: their parameters are never text of a statement, whatever the sql_mode.
  async rows(sql: string, values: Values = []): Promise<(string | Buffer | null)[][]> {
    try {
      const [rows] = await this.db.execute<RowDataPacket[]>({ sql, rowsAsArray: true }, values);
      return rows as unknown as (string | Buffer | null)[][];
    } catch (error) {
      throw said(sql, error);
    }
  }
  async affected(sql: string, values: Values): Promise<number> {
    try {
      const [done] = await this.db.execute<ResultSetHeader>(sql, values);
      return done.affectedRows;
    } catch (error) {
      if ((error as { errno?: number }).errno === 1062) throw error; // for who inserts
      throw said(sql, error);
    }
  }
  async run(sql: string): Promise<void> {
    try {
      await this.db.query(sql);
    } catch (error) {
      throw said(sql, error);
    }
  }
}

async function checkDurable(connection: Connection): Promise<void> {
  const [row] = await connection.rows(
    'SELECT CAST(@@innodb_flush_log_at_trx_commit AS CHAR), CAST(@@log_bin + 0 AS CHAR), CAST(@@sync_binlog AS CHAR)',
  );
  const [flush, binlog, sync] = row ?? [];
  if (flush !== '1' && flush !== '3') {
    throw new LocalError('refused', `the MariaDB server runs with innodb_flush_log_at_trx_commit=${String(flush)}: a yes may be lost with the power. SET GLOBAL innodb_flush_log_at_trx_commit = 1`);
  }
  if (binlog !== '0' && sync !== '1') {
    throw new LocalError('refused', 'the MariaDB server writes a binary log and does not sync it with each commit: a yes may be lost with the power. SET GLOBAL sync_binlog = 1');
  }
}

async function checkTables(connection: Connection): Promise<void> {
  for (const table of [branchesTable, barrierTable]) {
    const look = 'SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?';
    const columns = (await connection.rows(look, [table])).map((row) => String(row[0]));
    if (columns.length > 0) checkColumns(table, columns);
    const kind = 'SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?';
    const [engine] = await connection.rows(kind, [table]);
    if (engine && engine[0] !== 'InnoDB') {
      throw new LocalError('refused', `table ${table} is of the engine ${String(engine[0])}, which has no transactions: ALTER TABLE ${table} ENGINE=InnoDB`);
    }
  }
}

async function prepareDatabase(connection: Connection, patienceMs: number): Promise<void> {
  const [database] = await connection.rows('SELECT DATABASE()');
  if (!database?.[0]) throw new LocalError('refused', "the connection names no database: give the one of the service's work");
  await checkDurable(connection);
  const [locked] = await connection.rows(`SELECT CAST(GET_LOCK(${lockSchema}, ${Math.ceil(patienceMs / 1_000)}) AS CHAR)`);
  if (locked?.[0] !== '1') throw new LocalError('busy', "somebody else has been making the barrier's tables all the time");
  try {
    await checkTables(connection);
    for (const table of schema) await connection.run(table);
    await checkTables(connection);
    await connection.affected('INSERT IGNORE INTO assent_barrier VALUES(1, ?, ?, 0)', [tablesVersion, newIdentity()]);
    await connection.run('COMMIT');
    const [version] = await connection.rows('SELECT CAST(version AS CHAR) FROM assent_barrier');
    checkVersion(version ? String(version[0]) : undefined);
  } finally {
    await connection.run('ROLLBACK').catch(() => undefined);
    await connection.rows(`SELECT RELEASE_LOCK(${lockSchema})`).catch(() => undefined);
  }
}

class Local implements LocalTransaction<MariaDb> {
  #writes = false;
  #fit = true;

  constructor(
    private held: Connection,
    private readonly again: () => Promise<Connection>,
    private readonly back: (connection: Connection, fit: boolean) => void,
  ) {}

  get connection(): MariaDb {
    return this.held.db;
  }

  async begin(access: 'read' | 'write'): Promise<void> {
    this.#writes = access === 'write';
    try {
      await this.held.run('START TRANSACTION READ WRITE');
    } catch (error) {
      if (!(error instanceof LocalError) || error.kind !== 'lost') throw error;
      // Lost while nobody used it, as after a restart of the server: nothing hangs on it yet.
      const fresh = await this.again();
      this.held.end();
      this.held = fresh;
      await this.held.run('START TRANSACTION READ WRITE');
    }
  }

  async load(key: BranchKey): Promise<Register | undefined> {
    const sql =
      'SELECT state, CAST(epoch AS CHAR), CAST(number AS CHAR), coordinator, refusal, message, result, payload, ' +
      `CAST(changed_at AS CHAR) FROM assent_branches WHERE txn_id = ? AND branch = ?${this.#writes ? ' FOR UPDATE' : ''}`;
    const [row] = await this.held.rows(sql, keyOf(key));
    if (!row) return undefined;
    const text = (at: number): string => String(row[at] ?? '');
    const number = (at: number): string | null => (row[at] === null ? null : text(at));
    const blob = (at: number): Buffer => Buffer.from((row[at] ?? '') as Buffer);
    return fromRow({
      state: text(0),
      epoch: number(1),
      number: number(2),
      coordinator: text(3),
      refusal: text(4),
      message: text(5),
      result: blob(6),
      payload: blob(7),
      changedAt: text(8),
    });
  }

  async insert(key: BranchKey, row: Register): Promise<boolean> {
    try {
      return (await this.held.affected('INSERT INTO assent_branches VALUES(?,?,?,?,?,?,?,?,?,?,?)', [...keyOf(key), ...valuesOf(row)])) === 1;
    } catch (error) {
      if ((error as { errno?: number }).errno === 1062) return false; // a duplicate key
      throw error;
    }
  }

  // Every update changes something: MariaDB does not count a row that stays as it was.
  async update(key: BranchKey, row: Register): Promise<void> {
    const sql =
      'UPDATE assent_branches SET state = ?, epoch = ?, number = ?, coordinator = ?, refusal = ?, message = ?, ' +
      'result = ?, payload = ?, changed_at = ? WHERE txn_id = ? AND branch = ?';
    if ((await this.held.affected(sql, [...valuesOf(row), ...keyOf(key)])) === 1) return;
    throw new LocalError('io', "the branch's row in assent_branches is gone: somebody else deleted it");
  }

  async forgottenThrough(): Promise<number> {
    const [row] = await this.held.rows('SELECT CAST(forgotten_through AS CHAR) FROM assent_barrier WHERE id = 1');
    if (!row) throw new LocalError('io', 'table assent_barrier has lost its row');
    return Number(row[0]);
  }

  beginWork(): Promise<void> {
    return this.held.run('SAVEPOINT assent_work');
  }
  keepWork(): Promise<void> {
    return this.#settle('RELEASE SAVEPOINT assent_work');
  }
  async undoWork(): Promise<void> {
    await this.#settle('ROLLBACK TO SAVEPOINT assent_work');
    await this.held.run('RELEASE SAVEPOINT assent_work');
  }
  async #settle(sql: string): Promise<void> {
    try {
      await this.held.run(sql);
    } catch (error) {
      throw error instanceof LocalError
        ? new LocalError(error.kind, `the service's work ended the local transaction by itself: ${error.message}`)
        : error;
    }
  }

  commit(): Promise<void> {
    return this.held.run('COMMIT');
  }

  async rollback(): Promise<void> {
    try {
      await this.held.run('ROLLBACK');
    } catch {
      this.#fit = false; // the pool does not take it back
    }
  }

  async inDoubt(before: number, atMost: number): Promise<InDoubt[]> {
    const sql =
      'SELECT txn_id, branch, CAST(epoch AS CHAR), CAST(number AS CHAR), coordinator, CAST(changed_at AS CHAR) FROM assent_branches ' +
      `WHERE state = 'prepared' AND changed_at <= ${Math.floor(before)} ORDER BY changed_at LIMIT ${Math.floor(atMost)}`;
    try {
      const rows = await this.held.rows(sql);
      return rows.map((row) => {
        const text = (at: number): string => String(row[at] ?? '');
        return inDoubtFrom({ txnId: text(0), name: text(1), epoch: text(2), number: text(3), coordinator: text(4), since: text(5) });
      });
    } finally {
      await this.rollback(); // a read begins a transaction, too
    }
  }

  async forget(before: number, atMost: number): Promise<number> {
    try {
      await this.begin('write');
      const gone = await this.held.rows(
        `SELECT txn_id, branch FROM assent_branches WHERE txn_id < ? AND state <> 'prepared' AND changed_at < ${Math.floor(before)} ` +
          `ORDER BY txn_id LIMIT ${Math.floor(atMost)} FOR UPDATE SKIP LOCKED`,
        [firstIdOf(before)],
      );
      for (const [txnId, branch] of gone) {
        await this.held.affected('DELETE FROM assent_branches WHERE txn_id = ? AND branch = ?', [txnId ?? '', branch ?? '']);
      }
      const latest = latestCreated(gone.map((row) => String(row[0])));
      await this.held.run(`UPDATE assent_barrier SET forgotten_through = GREATEST(forgotten_through, ${latest}) WHERE id = 1`);
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

function keyOf(key: BranchKey): Values {
  return [key.txnId, key.name];
}
function valuesOf(register: Register): Values {
  const row = toRow(register);
  return [row.state, row.epoch, row.number, row.coordinator, row.refusal, row.message, row.result, row.payload, row.changedAt];
}

export class MariaDbBarrier implements Barrier<MariaDb> {
  private constructor(
    private readonly pool: ConnectionPool<Connection>,
    private readonly make: () => Promise<Connection>,
  ) {}

  /** Makes the tables when they are not there. Throws LocalError. */
  static async open(options: MariaDbOptions): Promise<MariaDbBarrier> {
    const patienceMs = options.patienceMs ?? 5_000;
    const make = (): Promise<Connection> => Connection.open(options.connection, patienceMs);
    const pool = new ConnectionPool<Connection>(options.connections ?? 4, patienceMs, make, (one) => one.end(), (one) => one.broken);
    const first = await pool.take();
    const out = new MariaDbBarrier(pool, make);
    try {
      await prepareDatabase(first, patienceMs);
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

  async take(): Promise<LocalTransaction<MariaDb>> {
    return new Local(await this.pool.take(), this.make, (connection, fit) => this.pool.giveBack(connection, fit));
  }

  /** Throws unless the connection or pool is to this barrier's database. */
  async sameDatabase(other: Queryable): Promise<void> {
    const own = await this.pool.take();
    let ours: string | undefined;
    try {
      ours = String((await own.rows(identity))[0]?.[0] ?? '');
      await own.run('ROLLBACK');
    } finally {
      this.pool.giveBack(own, true);
    }
    const theirs = await other.query(identity).then(
      ([rows]) => (rows as { identity?: string }[])[0]?.identity,
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
