import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import { StartupError } from './startup-error.ts';

/** Where members of a new cluster find each other: keys of another etcd cluster. */
export interface DiscoveryOptions {
  readonly token: string;
  /** Client URLs of the cluster that is asked. */
  readonly endpoints: readonly string[];
  readonly requestTimeoutMs: number;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly insecureSkipVerify: boolean;
  readonly user: string;
  readonly password: string;
}

export interface DiscoveryPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** One POST of JSON; rejects with DiscoveryAnswerError when there is an answer other than 200. */
  readonly post?: Post;
}

export type Post = (url: string, body: object, token: string) => Promise<object>;

/** The asked cluster has refused a request: asking again does not help. */
export class DiscoveryAnswerError extends Error {}

interface KeyValue {
  readonly key: string;
  readonly value?: string;
  readonly create_revision?: string;
}

const pollMs = 1_000;
const pauseMinMs = 1_000;
const pauseMaxMs = 30_000;

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const text = (value: string | undefined): string =>
  Buffer.from(value ?? '', 'base64')
    .toString()
    .trim();

/**
 * Registers this member under the token and waits until as many have come as the cluster is to have; gives them as `--initial-cluster` has
 * them, the first ones to come. Keys and values are those of etcd's discovery (v3), so that both kinds of members find each other; the
 * cluster is asked through its JSON gateway. Throws StartupError when the token is unknown or its cluster complete without this member;
 * anything else is tried again without an end.
 */
export async function discover(
  options: DiscoveryOptions,
  self: { readonly memberId: bigint; readonly name: string; readonly peerUrls: readonly string[] },
  ports: DiscoveryPorts,
): Promise<string> {
  const { clock, logger } = ports;
  const post = ports.post ?? gatewayPost(options);
  const prefix = `/_etcd/registry/${options.token}`;
  const own = `${prefix}/members/${self.memberId.toString(16)}`;
  let session = '';
  const call = async (path: string, body: object): Promise<object> => {
    for (let attempt = 0; ; attempt++) {
      const endpoint = options.endpoints[attempt % options.endpoints.length] as string;
      try {
        if (options.user !== '' && session === '') {
          const login = { name: options.user, password: options.password };
          session =
            ((await post(`${endpoint}/v3/auth/authenticate`, login, '')) as { token?: string }).token ?? '';
        }
        return await post(`${endpoint}/v3/${path}`, body, session);
      } catch (error) {
        if (error instanceof DiscoveryAnswerError)
          throw new StartupError(`discovery: ${endpoint} refuses: ${error.message}`, { cause: error });
        const round = Math.floor(attempt / options.endpoints.length);
        logger.warn('failed to reach the discovery service; will retry', {
          endpoint,
          error: errorMessage(error),
        });
        await sleep(clock, Math.min(pauseMaxMs, pauseMinMs * 2 ** Math.min(round, 8)));
      }
    }
  };
  const range = async (key: string, rangeEnd?: string): Promise<readonly KeyValue[]> => {
    const body = { key: base64(key), ...(rangeEnd === undefined ? {} : { range_end: base64(rangeEnd) }) };
    return ((await call('kv/range', body)) as { kvs?: readonly KeyValue[] }).kvs ?? [];
  };
  const [sizeKey] = await range(`${prefix}/_config/size`);
  if (sizeKey === undefined)
    throw new StartupError(
      `discovery: size key not found. Put the number of members under ${prefix}/_config/size, or check --discovery-token`,
    );
  const size = Number(text(sizeKey.value));
  if (!Number.isInteger(size) || size <= 0)
    throw new StartupError(`discovery: size key is bad: ${prefix}/_config/size is "${text(sizeKey.value)}"`);

  /** Who has come, in that order; the first `size` make the cluster. */
  const members = async (): Promise<{ readonly key: string; readonly urls: string }[]> =>
    [...(await range(`${prefix}/members/`, `${prefix}/members0`))]
      .sort((a, b) => Number(a.create_revision ?? 0) - Number(b.create_revision ?? 0))
      .map(({ key, value }) => ({ key: text(key), urls: text(value) }))
      .filter(({ urls }) => urls.includes('='))
      .slice(0, size);
  const isComplete = (found: readonly { key: string }[]): boolean => {
    if (found.length < size) return false;
    if (found.some(({ key }) => key === own)) return true;
    throw new StartupError(
      `discovery: cluster is full: ${size} other members came before. Add this one with etcdctl member add and --initial-cluster-state=existing`,
    );
  };
  let found = await members();
  isComplete(found);
  if (!found.some(({ key }) => key === own)) {
    const urls = [...self.peerUrls].sort().map((url) => `${self.name}=${url}`);
    await call('kv/put', { key: base64(own), value: base64(urls.join(',')) });
    found = await members();
  }
  for (let told = -1; !isComplete(found); found = await members()) {
    if (told !== found.length)
      logger.info('waiting for peers from discovery service', {
        'cluster-size': size,
        'found-peers': found.length,
      });
    told = found.length;
    await sleep(clock, pollMs);
  }
  logger.info('found all needed peers from discovery service', { 'cluster-size': size });
  return found.map(({ urls }) => urls).join(',');
}

function gatewayPost(options: DiscoveryOptions): Post {
  const pem = (file: string): Buffer | undefined => (file === '' ? undefined : fs.readFileSync(file));
  const tls: https.RequestOptions = {
    ca: pem(options.caFile),
    cert: pem(options.certFile),
    key: pem(options.keyFile),
    rejectUnauthorized: !options.insecureSkipVerify,
  };
  return (url, body, token) =>
    new Promise((resolve, reject) => {
      const isSecure = url.startsWith('https:');
      const request = (isSecure ? https : http).request(
        url,
        {
          method: 'POST',
          timeout: options.requestTimeoutMs,
          agent: false,
          headers: { 'content-type': 'application/json', ...(token === '' ? {} : { authorization: token }) },
          ...(isSecure ? tls : {}),
        },
        (response) => {
          let answer = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (answer += chunk));
          response.on('end', () => {
            const status = response.statusCode ?? 0;
            try {
              if (status === 200) resolve(JSON.parse(answer) as object);
              else if (status >= 500) reject(new Error(`HTTP status ${status}: ${answer.trim()}`));
              else reject(new DiscoveryAnswerError(`HTTP status ${status}: ${answer.trim()}`));
            } catch (error) {
              reject(new DiscoveryAnswerError(`no JSON: ${errorMessage(error)}`));
            }
          });
        },
      );
      request.on('timeout', () =>
        request.destroy(new Error(`no answer within ${options.requestTimeoutMs} ms`)),
      );
      request.on('error', reject);
      request.end(JSON.stringify(body));
    });
}
