// The view as the hash of the url, so that a link shows what its sender saw: #/txns?state=ABORTED&q=s1. Pure.

export type Page = 'overview' | 'txns' | 'txn' | 'in-doubt' | 'contention' | 'latency' | 'groups' | 'events' | 'demo' | 'unknown';

export interface View {
  page: Page;
  id: string; // of a transaction, for page txn
  params: Readonly<Record<string, string>>;
}

const plain_pages: readonly Page[] = ['overview', 'txns', 'in-doubt', 'contention', 'latency', 'groups', 'events', 'demo'];

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not what encodeURIComponent makes: shown as it is
  }
}

export function parse_view(hash: string): View {
  const text = hash.replace(/^#/, '');
  const question = text.indexOf('?');
  const path = (question < 0 ? text : text.slice(0, question)).split('/').filter((part) => part !== '');
  const params: Record<string, string> = Object.create(null) as Record<string, string>;
  if (question >= 0) for (const [key, value] of new URLSearchParams(text.slice(question + 1))) params[key] = value;
  const [first, second] = path;
  if (first === undefined) return { page: 'overview', id: '', params };
  if (first === 'txn' && second !== undefined && path.length === 2) return { page: 'txn', id: decoded(second), params };
  const page = path.length === 1 ? plain_pages.find((name) => name === first) : undefined;
  return { page: page ?? 'unknown', id: '', params };
}

export function print_view(view: View): string {
  const path = view.page === 'txn' ? `txn/${encodeURIComponent(view.id)}` : view.page;
  const query = new URLSearchParams();
  for (const key of Object.keys(view.params).sort()) {
    const value = view.params[key];
    if (value !== undefined && value !== '') query.set(key, value);
  }
  const text = query.toString();
  return `#/${path}${text === '' ? '' : `?${text}`}`;
}

export function link(page: Page, params: Record<string, string> = {}, id = ''): string {
  return print_view({ page, id, params });
}

// The same view with some parameters changed; an empty value takes one away.
export function with_params(view: View, changes: Record<string, string>): View {
  return { ...view, params: { ...view.params, ...changes } };
}
