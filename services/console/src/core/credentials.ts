import { errorMessage } from '@pilothouse/base';
import { parse } from 'yaml';
import { ConsoleError } from '../errors.ts';

/** What a user hands in to act as themselves. PEM texts. */
export interface Credentials {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A bearer token as RFC 6750 allows it, so that nothing else gets into a header. Throws ConsoleError 400. */
export function tokenCredentials(text: unknown): Credentials {
  const token = typeof text === 'string' ? text.trim().replace(/^Bearer\s+/i, '') : '';
  if (token === '') throw new ConsoleError(400, 'Want a bearer token');
  if (!/^[\w.~+/:-]+=*$/.test(token))
    throw new ConsoleError(400, 'That is not a bearer token: it has characters that no token has');
  return { token };
}

interface Named {
  readonly name?: unknown;
  readonly user?: Record<string, unknown>;
  readonly context?: Record<string, unknown>;
}

/**
 * The user of a kubeconfig's current context. Its cluster does not matter: the console talks to its own API server only. Nothing outside the text
 * is read: file names are the user's, on another machine. Throws ConsoleError 400.
 */
export function kubeconfigCredentials(text: unknown): Credentials {
  let document: unknown;
  try {
    document = parse(typeof text === 'string' ? text : '', { maxAliasCount: 0 });
  } catch (error) {
    throw new ConsoleError(400, `Cannot read the kubeconfig: ${errorMessage(error).split('\n')[0]}`);
  }
  if (typeof document !== 'object' || document === null)
    throw new ConsoleError(400, 'That is not a kubeconfig: want YAML with contexts and users');
  const members = document as Record<string, unknown>;
  const named = (list: unknown, name: unknown, what: string): Named => {
    const found = Array.isArray(list) ? (list as Named[]).find((each) => each?.name === name) : undefined;
    if (!found) throw new ConsoleError(400, `The kubeconfig has no ${what} ${JSON.stringify(name ?? '')}`);
    return found;
  };
  const context = named(members['contexts'], members['current-context'], 'context').context ?? {};
  const user = named(members['users'], context['user'], 'user').user ?? {};
  if (typeof user['token'] === 'string' && user['token'] !== '') return tokenCredentials(user['token']);
  const pem = (key: string): string | undefined => {
    const data = user[`${key}-data`];
    return typeof data === 'string' ? Buffer.from(data, 'base64').toString('utf8') : undefined;
  };
  const [cert, key] = [pem('client-certificate'), pem('client-key')];
  if (cert !== undefined && key !== undefined) return { cert, key };
  const outside = ['exec', 'auth-provider', 'tokenFile', 'client-certificate', 'client-key'].find(
    (each) => user[each] !== undefined,
  );
  throw new ConsoleError(
    400,
    outside === undefined
      ? 'The user of the kubeconfig has neither a token nor a certificate'
      : `The user of the kubeconfig has its credentials elsewhere (${outside}): kubectl config view --flatten --minify puts files into it, and kubectl create token gives a token`,
  );
}
