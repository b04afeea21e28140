import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import type { DecisionCache } from './decision-cache.ts';
import type { RedisLink } from './redis-link.ts';

const use = 'decisions';

/**
 * {@link DecisionCache} in Redis. Whoever can write to Redis must not be able to make decisions, so each is signed with a key that only the API
 * servers have, together with its place and its end. Keys are hashes; tokens never leave the server.
 */
export class RedisDecisionCache implements DecisionCache {
  readonly #link: RedisLink;
  readonly #clock: Clock;
  readonly #key: Buffer;

  /** `secret` is the same on all servers of a cluster and unknown elsewhere. */
  constructor(link: RedisLink, clock: Clock, secret: string) {
    this.#link = link;
    this.#clock = clock;
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'pilothouse decisions', 32));
  }

  async get(scope: string, key: string): Promise<unknown> {
    const place = placeOf(scope, key);
    const text = await this.#link.run(use, (redis) => redis.get(place));
    if (text === undefined || text === null) return undefined;
    const dot = text.indexOf('.');
    const payload = text.slice(dot + 1);
    const told = Buffer.from(text.slice(0, Math.max(0, dot)), 'base64');
    const mac = this.#sign(place, payload);
    if (told.length !== mac.length || !timingSafeEqual(told, mac)) return undefined;
    const { value, untilMs } = JSON.parse(payload) as { value: unknown; untilMs: number };
    return this.#clock.now() < untilMs ? value : undefined;
  }

  set(scope: string, key: string, value: unknown, ttlMs: number): void {
    if (!(ttlMs > 0)) return;
    const place = placeOf(scope, key);
    const payload = JSON.stringify({ value, untilMs: this.#clock.now() + ttlMs });
    const text = `${this.#sign(place, payload).toString('base64')}.${payload}`;
    void this.#link.run(use, (redis) => redis.set(place, text, 'PX', Math.ceil(ttlMs)));
  }

  #sign(place: string, payload: string): Buffer {
    return createHmac('sha256', this.#key).update(`${place}\0${payload}`).digest();
  }
}

function placeOf(scope: string, key: string): string {
  return `pilothouse:decision:${createHash('sha256').update(`${scope}\0${key}`).digest('base64url')}`;
}
