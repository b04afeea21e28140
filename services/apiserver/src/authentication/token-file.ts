import type { TokenAuthenticator, UserInfo } from './interface.ts';
import { createHash } from 'node:crypto';
import { withApiAudiences } from './audiences.ts';

/**
 * Reads `token,user,uid[,"group1,group2"]` lines (RFC 4180 quoting, `#` starts a comment line). Throws an Error that names the
 * line on fewer than three columns or an empty token.
 */
export function parseTokenFile(text: string): Map<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  const lines = text.split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string;
    if (line.trim() === '' || line.startsWith('#')) continue;
    const columns = csvColumns(line);
    if (columns.length < 3) {
      throw new Error(
        `Cannot read the token file: line ${index + 1} has ${columns.length} columns, expected at least 3 (token, user name, user uid)`,
      );
    }
    const [token, name, uid, groups] = columns as [string, string, string, string?];
    if (token === '') throw new Error(`Cannot read the token file: line ${index + 1} has an empty token`);
    users.set(token, {
      name,
      ...(uid === '' ? {} : { uid }),
      groups: groups === undefined || groups === '' ? [] : groups.split(',').map((group) => group.trim()),
    });
  }
  return users;
}

/** Static tokens. They know no audiences, so they are good for those of the API server. */
export function tokenFileAuthenticator(text: string, apiAudiences: readonly string[]): TokenAuthenticator {
  // By their hash, so that the time of a look-up tells nothing of how much of a guess was right.
  const users = new Map([...parseTokenFile(text)].map(([token, user]) => [hashOf(token), user]));
  return {
    async authenticateToken(token, audiences) {
      const user = users.get(hashOf(token));
      return user === undefined ? undefined : withApiAudiences({ user }, audiences, apiAudiences);
    },
  };
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

function csvColumns(line: string): string[] {
  const columns: string[] = [];
  let column = '';
  let quoted = false;
  for (let index = 0; index < line.length; index++) {
    const character = line[index] as string;
    if (quoted) {
      if (character !== '"') column += character;
      else if (line[index + 1] === '"') column += line[++index] as string;
      else quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === ',') {
      columns.push(column);
      column = '';
    } else if (column !== '' || character !== ' ') column += character;
  }
  columns.push(column);
  return columns;
}
