// The goods, in MariaDB: reserved when the transaction prepares, taken when it commits, put back when it aborts.
//
// A branch's payload is a JSON object, as of the order: {"order": "o-17", "product": "tea", "quantity": 2}; other fields
// are for the other services.
import { no, yes, type Branch, type Participant, type Vote } from 'assent';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';

const tables = [
  'CREATE TABLE IF NOT EXISTS products(id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, ' +
    'available BIGINT NOT NULL CHECK(available >= 0), reserved BIGINT NOT NULL DEFAULT 0 CHECK(reserved >= 0), ' +
    'sold BIGINT NOT NULL DEFAULT 0) ENGINE=InnoDB',
  'CREATE TABLE IF NOT EXISTS reservations(txn_id CHAR(32) CHARACTER SET ascii NOT NULL, branch VARBINARY(200) NOT NULL, ' +
    'order_id VARCHAR(200) CHARACTER SET utf8mb4 NOT NULL, product VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, ' +
    'quantity BIGINT NOT NULL, state VARCHAR(10) CHARACTER SET ascii NOT NULL, PRIMARY KEY(txn_id, branch)) ENGINE=InnoDB',
];
const quantityMax = 1_000_000;

export interface Order {
  order: string;
  product: string;
  quantity: number;
}

/** The bytes come from whoever began the transaction: nothing of them is believed. A text says what is wrong. */
export function readOrder(payload: Buffer): Order | string {
  let fields: unknown;
  try {
    fields = JSON.parse(payload.toString('utf8'));
  } catch (error) {
    return `the payload is no JSON: ${String(error)}`;
  }
  if (typeof fields !== 'object' || fields === null) return 'the payload is no JSON object';
  const { order = '', product, quantity } = fields as Record<string, unknown>;
  if (typeof order !== 'string' || [...order].length > 200) return 'order must be a text of up to 200 characters';
  if (typeof product !== 'string' || product.length === 0 || [...product].length > 64) return 'product must be 1 to 64 characters';
  if (!Number.isInteger(quantity) || (quantity as number) < 1 || (quantity as number) > quantityMax) {
    return `quantity must be an integer from 1 to ${quantityMax}`;
  }
  return { order, product, quantity: quantity as number };
}

export class Stock implements Participant<Connection> {
  async prepare(branch: Branch, db: Connection, payload: Buffer): Promise<Vote> {
    const order = readOrder(payload);
    if (typeof order === 'string') return no('BAD_PAYLOAD', order);
    const { product, quantity } = order;
    const [taken] = await db.execute<ResultSetHeader>(
      'UPDATE products SET available = available - ?, reserved = reserved + ? WHERE id = ? AND available >= ?',
      [quantity, quantity, product, quantity],
    );
    if (taken.affectedRows === 0) return whyNot(db, product, quantity);
    await db.execute("INSERT INTO reservations VALUES(?, ?, ?, ?, ?, 'reserved')", [branch.txnId, branch.name, order.order, product, quantity]);
    return yes(JSON.stringify({ reserved: quantity }));
  }

  commit(branch: Branch, db: Connection): Promise<void> {
    return end(branch, db, 'sold', 'sold = sold');
  }
  abort(branch: Branch, db: Connection): Promise<void> {
    return end(branch, db, 'returned', 'available = available');
  }
}

async function whyNot(db: Connection, product: string, quantity: number): Promise<Vote> {
  const [rows] = await db.execute<RowDataPacket[]>('SELECT available FROM products WHERE id = ?', [product]);
  if (!rows[0]) return no('NO_SUCH_PRODUCT', `there is no ${product} here`);
  return no('SOLD_OUT', `there are ${String(rows[0]['available'])} of ${product}, and ${quantity} are asked for`);
}

// What was reserved stands in the table: the payload need not be read again.
async function end(branch: Branch, db: Connection, state: string, change: string): Promise<void> {
  const [done] = await db.execute<ResultSetHeader>(
    `UPDATE products p JOIN reservations r ON p.id = r.product SET p.reserved = p.reserved - r.quantity, p.${change} + r.quantity, ` +
      "r.state = ? WHERE r.txn_id = ? AND r.branch = ? AND r.state = 'reserved'",
    [state, branch.txnId, branch.name],
  );
  if (done.affectedRows !== 2) throw new Error(`nothing is reserved for ${branch.txnId} ${branch.name}: the books are damaged`);
}

// ---- outside of transactions ----

export async function makeTables(db: Connection): Promise<void> {
  for (const table of tables) await db.query(table);
}

/** product-0, product-1, ..., unless they are there. */
export async function openStock(db: Connection, products: number, each: number): Promise<void> {
  for (let i = 0; i < products; ++i) {
    await db.execute('INSERT IGNORE INTO products(id, available) VALUES(?, ?)', [`product-${i}`, each]);
  }
  await db.query('COMMIT');
}

export type Books = Record<'products' | 'available' | 'reserved' | 'sold' | 'reservedByReservations' | 'soldByReservations', number>;

/** Sums over the products, and the same from the reservations: in good books they agree, and nothing is reserved in the end. */
export async function books(db: Connection): Promise<Books> {
  const [rows] = await db.query<RowDataPacket[]>(
    'SELECT COUNT(*) products, SUM(available) available, SUM(reserved) reserved, SUM(sold) sold, ' +
      "(SELECT SUM(quantity) FROM reservations WHERE state = 'reserved') reservedByReservations, " +
      "(SELECT SUM(quantity) FROM reservations WHERE state = 'sold') soldByReservations FROM products",
  );
  await db.query('ROLLBACK');
  return Object.fromEntries(Object.entries(rows[0] ?? {}).map(([name, value]) => [name, Number(value ?? 0)])) as Books;
}
