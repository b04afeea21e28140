/** What a request of the page is about, for counting: few values, whatever is asked for. */
export type RequestSubject = 'page' | 'session' | 'api' | 'store' | 'drills' | 'health' | 'other';

const methods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** A method that the console knows, or `OTHER`. */
export const requestMethod = (method: string | undefined): string =>
  method !== undefined && methods.includes(method) ? method : 'OTHER';

/** `target` is the request's path with its query. */
export function requestSubject(target: string, isAsset: (path: string) => boolean): RequestSubject {
  const [path = '/'] = target.split('?');
  if (isAsset(path)) return 'page';
  if (path === '/session') return 'session';
  if (path.startsWith('/k8s/')) return 'api';
  if (path.startsWith('/store/')) return 'store';
  if (path === '/drills' || path === '/drills/file') return 'drills';
  return /^\/(healthz|livez|readyz)$/.test(path) ? 'health' : 'other';
}

/** Whether the answer goes on for as long as somebody listens: watches and followed logs. */
export function followsChanges(target: string): boolean {
  const [path = '/', query = ''] = target.split('?');
  const values = new URLSearchParams(query);
  const isSet = (name: string): boolean => /^(1|t|true)$/i.test(values.get(name) ?? '');
  return isSet('watch') || isSet('follow') || /^\/k8s\/(?:api|apis\/[^/]+)\/[^/]+\/watch\//.test(path);
}
