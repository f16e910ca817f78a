// Ids of transactions: UUIDv7 as 32 lower-case hex digits, whose first 48 bits are milliseconds since 1970.
import { createHash, randomBytes } from 'node:crypto';

const idPattern = /^[0-9a-f]{32}$/;

export function isTxnId(text: unknown): text is string {
  return typeof text === 'string' && idPattern.test(text) && !/^0+$/.test(text);
}

/** A new id, of the current time. */
export function newTxnId(): string {
  return shaped(Date.now(), randomBytes(10));
}

/** When the id was made, in milliseconds since 1970. */
export function createdAt(id: string): number {
  return Number.parseInt(id.slice(0, 12), 16);
}

/** The id of the n-th attempt (from 1) of what goes by the first one: of the same age, and the same each time. */
export function attemptId(first: string, attempt: number): string {
  if (attempt === 1) return first;
  return shaped(createdAt(first), createHash('sha256').update(`${first}/${attempt}`).digest());
}

// 48 bits of time, then version 7, 12 random bits, the variant, 62 random bits.
function shaped(millis: number, random: Buffer): string {
  const tail = Buffer.from(random.subarray(0, 10));
  tail.writeUInt8((tail.readUInt8(0) & 0x0f) | 0x70, 0);
  tail.writeUInt8((tail.readUInt8(2) & 0x3f) | 0x80, 2);
  return millis.toString(16).padStart(12, '0') + tail.toString('hex');
}
