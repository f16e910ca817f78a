// Values of SQL and of keys, between JavaScript and the wire. 64-bit integers are bigint, always.
import { AssentError } from './errors';

/** What a shard answers: null, INTEGER as bigint, REAL as number, TEXT as string, BLOB as Buffer. */
export type Value = null | bigint | number | string | Buffer;
/** What may be given as a parameter. A number that is a safe integer goes as an INTEGER, any other as a REAL. */
export type Parameter = null | bigint | number | string | Uint8Array;

/** assent.v1.Value as proto-loader has it. */
export interface WireValue {
  kind?: 'null' | 'integer' | 'real' | 'text' | 'blob';
  null?: object | null;
  integer?: string;
  real?: number;
  text?: string;
  blob?: Uint8Array;
}

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;

export function int64(value: bigint | number, what: string): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new AssentError('invalid', `${what} is ${value}, which is no integer that a number holds exactly: use a bigint`);
  }
  const integer = BigInt(value);
  if (integer < int64Min || integer > int64Max) {
    throw new AssentError('invalid', `${what} is ${integer}, which does not fit into 64 bits`);
  }
  return integer.toString();
}

export function encodeValue(value: Parameter): WireValue {
  if (value === null) return { null: {} };
  switch (typeof value) {
    case 'bigint':
      return { integer: int64(value, 'a parameter') };
    case 'number':
      if (Number.isNaN(value)) throw new AssentError('invalid', 'a parameter is NaN, which SQL does not have');
      return Number.isSafeInteger(value) ? { integer: value.toString() } : { real: value };
    case 'string':
      return { text: value };
    default:
      if (value instanceof Uint8Array) return { blob: value };
      throw new AssentError('invalid', `a parameter is a ${typeof value}: use null, bigint, number, string or Uint8Array`);
  }
}

export function decodeValue(value: WireValue): Value {
  switch (value.kind) {
    case 'integer':
      return BigInt(value.integer ?? '0');
    case 'real':
      return value.real ?? 0;
    case 'text':
      return value.text ?? '';
    case 'blob':
      return Buffer.from(value.blob ?? []);
    default:
      return null;
  }
}

export function bytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}
