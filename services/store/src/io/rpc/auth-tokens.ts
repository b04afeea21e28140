import crypto from 'node:crypto';
import fs from 'node:fs';
import { jwtVerify, SignJWT } from 'jose';
import { errorMessage, type Clock } from '@pilothouse/base';
import { FlagError, parseDuration } from '@pilothouse/host';
import { StoreError, type AuthInfo, type AuthStore } from '../../core/index.ts';
import { StartupError } from '../startup-error.ts';
import type { StoreService } from './store-service.ts';

/** How a client that logged in is known by its next requests. */
export interface AuthTokens {
  /** Work before {@link AuthTokens.resolve} can answer for `token`; undefined when there is none. */
  prepare(token: string, service: StoreService): Promise<void> | undefined;
  /** Whose token it is. Throws `invalidAuthToken`. */
  resolve(token: string, auth: AuthStore): AuthInfo;
  /** A token for a user whose password was right. */
  issue(username: string, service: StoreService): Promise<string>;
}

const tokenCharacters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * Random texts that every member learns through the log and forgets at its restart; using one prolongs it. A token ends with an
 * index of the log at which it was known: a member that has not come so far looks for the rest before it refuses the token.
 */
export function simpleTokens(clock: Clock, ttlMs: number): AuthTokens {
  return {
    prepare(token, service) {
      const index = Number(/\.(\d{1,15})$/.exec(token)?.[1] ?? 0);
      return index > service.machine.appliedIndex ? service.readBarrier() : undefined;
    },
    resolve: (token, auth) => ({
      username: auth.userOfToken(token.replace(/\.\d+$/, ''), clock.monotonic(), ttlMs),
      revision: auth.revision,
    }),
    async issue(username, service) {
      let token = '';
      for (const byte of service.options.random.bytes(16))
        token += tokenCharacters[byte % tokenCharacters.length];
      await service.propose({ authenticate: { name: username, simpleToken: token } });
      return `${token}.${service.machine.appliedIndex}`;
    },
  };
}

const methods = [
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512'],
  ...['PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'],
];

export interface JwtOptions {
  readonly signMethod: string;
  readonly publicKeyFile: string;
  readonly privateKeyFile: string;
  readonly ttlMs: number;
}

/** Reads `--auth-token`: undefined for simple tokens. Throws FlagError. */
export function parseAuthToken(value: string): JwtOptions | undefined {
  const [kind, ...pairs] = value.split(',');
  if (kind === 'simple' || value === '') return undefined;
  const bad = (why: string): FlagError => new FlagError(`Invalid value "${value}" for --auth-token: ${why}`);
  if (kind !== 'jwt') throw bad('want simple or jwt,sign-method=…,priv-key=…,pub-key=…,ttl=…');
  const given: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(0, equals));
    if (!['sign-method', 'pub-key', 'priv-key', 'ttl'].includes(name))
      throw bad(`"${pair}" is none of sign-method=, pub-key=, priv-key=, ttl=`);
    if (given[name] !== undefined) throw bad(`${name} is given twice`);
    given[name] = pair.slice(equals + 1);
  }
  const signMethod = given['sign-method'] ?? '';
  if (!methods.includes(signMethod)) throw bad(`sign-method must be one of ${methods.join(', ')}`);
  if (given['pub-key'] === undefined && given['priv-key'] === undefined)
    throw bad('priv-key (to give out tokens) or pub-key (only to check them) is required');
  const ttlMs = parseDuration(given['ttl'] ?? '5m');
  if (ttlMs <= 0) throw bad('ttl must be more than 0');
  return {
    signMethod,
    publicKeyFile: given['pub-key'] ?? '',
    privateKeyFile: given['priv-key'] ?? '',
    ttlMs,
  };
}

/** Verified tokens that are remembered, so that a signature is checked once and not with each request. */
const rememberedMax = 10_000;

/**
 * Signed tokens that carry the user's name and the revision of the permissions: nothing is stored, every member with the
 * key can check them, and a change of users or roles makes them old. Throws StartupError when a key cannot be used.
 */
export function jwtTokens(options: JwtOptions, clock: Clock): AuthTokens {
  const { signMethod, ttlMs } = options;
  const isSecret = signMethod.startsWith('HS');
  const load = <T>(file: string, parse: (bytes: Buffer) => T): T | undefined => {
    if (file === '') return undefined;
    try {
      return parse(fs.readFileSync(file));
    } catch (error) {
      throw new StartupError(`Cannot use the key "${file}" of --auth-token: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  };
  const asSecret = (bytes: Buffer): crypto.KeyObject => crypto.createSecretKey(bytes);
  const privateKey = load(
    options.privateKeyFile,
    isSecret ? asSecret : (pem) => crypto.createPrivateKey(pem),
  );
  const publicKey =
    load(options.publicKeyFile, isSecret ? asSecret : (pem) => crypto.createPublicKey(pem)) ??
    (isSecret ? privateKey : load(options.privateKeyFile, (pem) => crypto.createPublicKey(pem)));
  if (publicKey === undefined) throw new StartupError('--auth-token=jwt names no key that can check tokens');
  const remembered = new Map<string, AuthInfo & { readonly untilMs: number }>();
  return {
    prepare(token) {
      if (remembered.has(token)) return undefined;
      return (async () => {
        try {
          const { payload } = await jwtVerify(token, publicKey, {
            algorithms: [signMethod],
            currentDate: new Date(clock.now()),
            requiredClaims: ['exp'],
          });
          const { username, revision, exp } = payload;
          if (typeof username !== 'string' || typeof revision !== 'number') return;
          if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value as string);
          remembered.set(token, { username, revision, untilMs: (exp as number) * 1000 });
        } catch {
          // Not remembered is not valid.
        }
      })();
    },
    resolve(token) {
      const entry = remembered.get(token);
      if (entry === undefined || entry.untilMs <= clock.now()) {
        remembered.delete(token);
        throw new StoreError('invalidAuthToken');
      }
      return { username: entry.username, revision: entry.revision };
    },
    async issue(username, service) {
      if (privateKey === undefined) throw new StoreError('authFailed');
      const seconds = Math.floor((clock.now() + ttlMs) / 1000);
      return new SignJWT({ username, revision: service.machine.auth.revision })
        .setProtectedHeader({ alg: signMethod, typ: 'JWT' })
        .setExpirationTime(seconds)
        .sign(privateKey);
    },
  };
}
