import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { FlagError } from '@pilothouse/host';
import type { FlagValues } from '../flag-values.ts';
import type { DecisionCache } from './decision-cache.ts';
import type { RateLimits } from './rate-limits.ts';
import { parseRateLimits } from './rate-limits.ts';
import { RedisDecisionCache } from './redis-decision-cache.ts';
import { RedisLink } from './redis-link.ts';

/** --redis-*. */
export interface SharedConfig {
  readonly url: string;
  readonly rateLimits: RateLimits;
  readonly auditStream: boolean;
  /** Text of the key that all servers sign tokens with; decisions are signed with one derived from it. */
  readonly secret: string;
}

/** What all servers of a cluster share through Redis. */
export interface SharedState {
  readonly link: RedisLink;
  readonly decisions: DecisionCache;
  readonly rateLimits: RateLimits;
  readonly auditStream: boolean;
}

/** Undefined without --redis-url. Throws FlagError. */
export function sharedConfigOf(values: FlagValues): SharedConfig | undefined {
  const url = values.optional('redis-url');
  let rateLimits: RateLimits;
  try {
    rateLimits = parseRateLimits(values.list('redis-rate-limits'));
  } catch (error) {
    throw new FlagError(`--redis-rate-limits: ${errorMessage(error)}`);
  }
  const auditStream = values.boolean('redis-audit-stream');
  if (url === undefined) {
    if (rateLimits.size > 0 || auditStream)
      throw new FlagError('--redis-rate-limits and --redis-audit-stream need --redis-url');
    return undefined;
  }
  if (!/^rediss?:\/\/./.test(url))
    throw new FlagError('Invalid --redis-url: want redis://[user:password@]host:port[/number] or rediss://…');
  const secret = values.file('service-account-signing-key-file');
  if (secret === undefined)
    throw new FlagError(
      '--redis-url needs --service-account-signing-key-file: decisions are signed with a key derived from it',
    );
  return { url, rateLimits, auditStream, secret };
}

/** Connects in the background: a server starts without Redis too. */
export function openShared(
  config: SharedConfig | undefined,
  ports: { readonly clock: Clock; readonly logger: Logger },
): SharedState | undefined {
  if (config === undefined) return undefined;
  const link = new RedisLink({ url: config.url, ...ports });
  const { rateLimits, auditStream } = config;
  return {
    link,
    decisions: new RedisDecisionCache(link, ports.clock, config.secret),
    rateLimits,
    auditStream,
  };
}
