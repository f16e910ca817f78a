// The token that actions need, and whether this is a development cluster: kept in this tab alone, and taken out of the
// url at once, so that a link that is passed on does not carry it.

const token_key = 'assent.token';
const dev_key = 'assent.dev';

function kept(key: string): string {
  try {
    return sessionStorage.getItem(key) ?? '';
  } catch {
    return ''; // storage is switched off: the token lives in the page
  }
}
let token = kept(token_key);
let dev = kept(dev_key) !== '';

function keep(key: string, value: string): void {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // it lives until the page is loaded again
  }
}

export function read_token(): string {
  return token;
}
export function set_token(value: string): void {
  token = value.trim();
  keep(token_key, token);
}
// Whether the cluster can be broken from here: `assentd dev` opens the page with ?token= on its own page.
export function is_dev(): boolean {
  return dev;
}

// From the hash of the url, once, before anything else reads it.
export function take_token(hash: string): string {
  const question = hash.indexOf('?');
  if (question < 0) return hash;
  const query = new URLSearchParams(hash.slice(question + 1));
  const value = query.get('token');
  if (value === null) return hash;
  set_token(value);
  if (hash.slice(0, question).replace(/^#?\/?/, '') === 'demo') {
    dev = true;
    keep(dev_key, '1');
  }
  query.delete('token');
  const rest = query.toString();
  return hash.slice(0, question) + (rest === '' ? '' : `?${rest}`);
}
