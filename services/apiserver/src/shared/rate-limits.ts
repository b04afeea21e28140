import { createHash } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import { TextRefusal } from '../endpoints/respond.ts';
import type { Filter } from '../filters/filter.ts';
import { tooManyRequestsText } from '../filters/flow-control.ts';
import type { Cell } from '../metrics/cells.ts';
import type { RedisLink } from './redis-link.ts';

/** Requests a second of one user, by priority level. */
export type RateLimits = ReadonlyMap<string, number>;

/** `workload-low=50,global-default=20`. Throws Error with what is wrong. */
export function parseRateLimits(texts: readonly string[]): RateLimits {
  const limits = new Map<string, number>();
  for (const text of texts) {
    const [level = '', amount = ''] = text.split('=');
    const perSecond = Number(amount);
    if (level === '' || !(perSecond >= 1) || !Number.isInteger(perSecond))
      throw new Error(
        `Invalid rate limit "${text}": want PRIORITY_LEVEL=REQUESTS_PER_SECOND, for example workload-low=50`,
      );
    limits.set(level, perSecond);
  }
  return limits;
}

const usersMax = 10_000;

/**
 * Bounds what one user may ask in a second, over all servers where Redis counts, else for this server alone. Long-running requests are
 * counted when they begin. Behind flow control, which says at which level a request is.
 */
export function rateLimitFilter(options: {
  readonly limits: RateLimits;
  readonly link: RedisLink;
  readonly clock: Clock;
  readonly refused: (level: string) => Cell;
}): Filter {
  const { limits, link, clock } = options;
  let second = 0;
  const counts = new Map<string, number>();
  const countHere = (key: string, now: number): number => {
    if (now !== second || counts.size >= usersMax) {
      counts.clear();
      second = now;
    }
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return count;
  };
  return async (exchange) => {
    const level = exchange.priorityLevel;
    const limit = limits.get(level);
    if (limit === undefined) return;
    const now = Math.floor(clock.now() / 1000);
    const user = createHash('sha256').update(exchange.user.name).digest('base64url').slice(0, 22);
    const here = countHere(`${level} ${user}`, now);
    const place = `pilothouse:rate:${level}:${user}:${now}`;
    const answers = await link.run('rates', (redis) => redis.multi().incr(place).expire(place, 3).exec());
    const shared = Number(answers?.[0]?.[1]);
    if ((Number.isFinite(shared) ? shared : here) <= limit) return;
    options.refused(level).inc();
    throw new TextRefusal(429, tooManyRequestsText, { 'Retry-After': '1' });
  };
}
