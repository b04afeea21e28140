import type { UserInfo } from '../authentication/interface.ts';

/** Who this server says it is when it asks for its own needs. */
export const aggregatorUser: UserInfo = { name: 'system:kube-aggregator', groups: ['system:masters'] };

const extraPrefix = 'x-remote-extra-';
const tokenCharacter = /^[A-Za-z0-9!#$&'*+.^_`|~-]$/;

/** Headers that only a front proxy may set; those that a client sent are never passed on. */
export function isIdentityHeader(name: string): boolean {
  return (
    name === 'authorization' ||
    name === 'x-remote-user' ||
    name === 'x-remote-uid' ||
    name === 'x-remote-group' ||
    name.startsWith(extraPrefix) ||
    name.startsWith('impersonate-')
  );
}

/** Tells an extension API server for whom this one calls; it believes them because of the client certificate. */
export function identityHeaders(user: UserInfo): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'x-remote-user': headerText(user.name) };
  if (user.uid !== undefined && user.uid !== '') headers['x-remote-uid'] = headerText(user.uid);
  if (user.groups.length > 0) headers['x-remote-group'] = user.groups.map(headerText);
  for (const [key, values] of Object.entries(user.extra ?? {})) {
    if (values.length > 0) headers[`${extraPrefix}${headerKey(key)}`] = values.map(headerText);
  }
  return headers;
}

/** Bytes that may not stand in a header's name are written as %XX. */
function headerKey(key: string): string {
  let result = '';
  for (const byte of Buffer.from(key.toLowerCase())) {
    const character = String.fromCharCode(byte);
    result += tokenCharacter.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return result;
}

/** Node takes header values as Latin-1; the other side reads the bytes as UTF-8. */
function headerText(value: string): string {
  return Buffer.from(value, 'utf8').toString('latin1');
}
