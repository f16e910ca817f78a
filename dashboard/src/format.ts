// Numbers, times and ids as a person reads them. Pure.

const minus = '\u2212';

// 950 µs, 2.4 ms, 950 ms, 1.20 s, 3 m 20 s, 2 h 5 m, 3 d 4 h
export function duration(micros: number): string {
  if (micros < 0) return minus + duration(-micros);
  if (micros < 1_000) return `${Math.round(micros)} µs`;
  if (micros < 99_950) return `${(micros / 1e3).toFixed(1)} ms`;
  if (micros < 999_500) return `${Math.round(micros / 1e3)} ms`;
  if (micros < 59_995_000) return `${(micros / 1e6).toFixed(2)} s`;
  const seconds = Math.round(micros / 1e6);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
  return `${Math.floor(minutes / 1_440)} d ${Math.floor((minutes % 1_440) / 60)} h`;
}

export function percent(part: number, whole: number): string {
  if (whole <= 0) return '–';
  const value = (100 * part) / whole;
  return value > 0 && value < 1 ? '<1 %' : `${Math.round(value)} %`;
}

export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

export function rate(per_second: number): string {
  return per_second > 0 && per_second < 10 ? per_second.toFixed(1) : count(per_second);
}

const two = (value: number) => value.toString().padStart(2, '0');

// Of the reader's clock and zone: 21:58:03, or with milliseconds.
export function clock(unix_micros: number, millis = false): string {
  const date = new Date(unix_micros / 1e3);
  if (Number.isNaN(date.getTime())) return '–';
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return millis ? `${text}.${date.getMilliseconds().toString().padStart(3, '0')}` : text;
}

export function iso(unix_micros: number): string {
  const date = new Date(unix_micros / 1e3);
  return Number.isNaN(date.getTime()) ? '–' : date.toISOString();
}

// The end of a txn id tells two apart; its beginning is the time.
export function short_id(id: string): string {
  return id.length > 14 ? `${id.slice(0, 6)}…${id.slice(-6)}` : id;
}

export function is_txn_id(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

export function bytes(value: number): string {
  if (value < 1_024) return `${value} B`;
  if (value < 1_048_576) return `${(value / 1_024).toFixed(1)} KiB`;
  if (value < 1_073_741_824) return `${(value / 1_048_576).toFixed(1)} MiB`;
  return `${(value / 1_073_741_824).toFixed(1)} GiB`;
}
