import { statusErrors } from '@pilothouse/apimachinery';

/** A place in a list: behind which key (relative to the listed prefix, as upstream) and at which revision. -1: whatever is there now. */
export interface ContinuePosition {
  readonly startKey: string;
  readonly revision: number;
}

const version = 'meta.k8s.io/v1';

/** `startKey` is the first key of the next page, relative to the listed prefix. */
export function encodeContinue(position: ContinuePosition): string {
  const json = JSON.stringify({ v: version, rv: position.revision, start: position.startKey });
  return base64Url(new TextEncoder().encode(json));
}

/** Throws 400 with upstream's texts. */
export function decodeContinue(token: string): ContinuePosition {
  const invalid = (text: string): Error => statusErrors.badRequest(`invalid continue token: ${text}`);
  const badAt = token.search(/[^A-Za-z0-9_-]/);
  if (badAt >= 0) throw invalid(`continue key is not valid: illegal base64 data at input byte ${badAt}`);
  if (token.length % 4 === 1)
    throw invalid(`continue key is not valid: illegal base64 data at input byte ${token.length - 1}`);
  const text = new TextDecoder().decode(
    Uint8Array.from(atob(token.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0)),
  );
  let parsed: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    // JSON null decodes to nothing, as in Go.
    parsed = (JSON.parse(text) as typeof parsed | null) ?? {};
  } catch {
    const first = text.trim().slice(0, 1);
    throw invalid(
      first === ''
        ? 'continue key is not valid: unexpected end of JSON input'
        : `continue key is not valid: invalid character '${first}' looking for beginning of value`,
    );
  }
  if (parsed.v !== version) {
    throw invalid(
      'continue key is not valid: server does not recognize this encoded version ' +
        (typeof parsed.v === 'string' ? parsed.v : ''),
    );
  }
  const revision = typeof parsed.rv === 'number' ? parsed.rv : 0;
  if (revision === 0)
    throw invalid(`continue key is not valid: incorrect encoded start resourceVersion (version ${version})`);
  const start = typeof parsed.start === 'string' ? parsed.start : '';
  if (start === '') throw invalid(`continue key is not valid: encoded start key empty (version ${version})`);
  // Keys must stay below the prefix: no climbing out with "..".
  const key = start.startsWith('/') ? start : `/${start}`;
  if (key.split('/').some((part) => part === '..' || part === '.') || key.includes('//')) {
    throw invalid(`continue key is not valid: ${start}`);
  }
  return { startKey: key.slice(1), revision };
}

function base64Url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
