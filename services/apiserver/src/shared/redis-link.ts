import { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { registerSource } from '../metrics/cells.ts';

export interface RedisLinkOptions {
  /** redis:// or rediss://, with user, password and number of the database where needed. */
  readonly url: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Longest wait for an answer, milliseconds: it adds to a request at most this. */
  readonly commandTimeoutMs?: number;
  /** After a failure Redis is left alone for so long, milliseconds. */
  readonly pauseMs?: number;
}

const commandTimeoutMs = 50;
const pauseMs = 1000;
const reconnectMsMax = 1000;

/**
 * A connection to a Redis that may be gone, slow or flapping. No command is ever queued for later or repeated; after one failure no other is
 * tried for a second, so that a frozen Redis costs a few requests a few milliseconds and not all of them.
 */
export class RedisLink {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pauseMs: number;
  #pausedUntilMs = 0;
  /** Undefined until it was reached or not for the first time. */
  #isUp: boolean | undefined;
  readonly #counts = new Map<string, { ok: number; error: number; skipped: number }>();

  constructor(options: RedisLinkOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#pauseMs = options.pauseMs ?? pauseMs;
    this.#redis = new Redis(options.url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: options.commandTimeoutMs ?? commandTimeoutMs,
      connectTimeout: 2000,
      retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), reconnectMsMax),
    });
    this.#redis.on('error', (error: unknown) => this.#down(error));
    this.#redis.on('close', () => this.#down(new Error('the connection was closed')));
    this.#redis.on('ready', () => {
      // What was wrong before the connection is over with it.
      this.#pausedUntilMs = 0;
      this.#up();
    });
    this.#redis.connect().catch((error: unknown) => this.#down(error));
  }

  get isUp(): boolean {
    return this.#isUp === true;
  }

  /** What Redis answered; undefined when it could not be asked or did not answer in time. Never rejects. `use` is a label. */
  async run<T>(use: string, command: (redis: Redis) => Promise<T>): Promise<T | undefined> {
    let counts = this.#counts.get(use);
    if (counts === undefined) this.#counts.set(use, (counts = { ok: 0, error: 0, skipped: 0 }));
    if (this.#redis.status !== 'ready' || this.#clock.monotonic() < this.#pausedUntilMs) {
      counts.skipped++;
      return undefined;
    }
    try {
      const answer = await command(this.#redis);
      counts.ok++;
      this.#up();
      return answer;
    } catch (error) {
      counts.error++;
      this.#pausedUntilMs = this.#clock.monotonic() + this.#pauseMs;
      this.#down(error);
      return undefined;
    }
  }

  /** pilothouse_redis_up and pilothouse_redis_commands_total. */
  register(registry: Registry): void {
    registerSource(registry, 'pilothouse_redis_up', 'Whether Redis answers this server', 'gauge', () => [
      { labels: {}, value: this.isUp ? 1 : 0 },
    ]);
    registerSource(
      registry,
      'pilothouse_redis_commands_total',
      'Commands by what they are for and how they ended; skipped: Redis was known to be away',
      'counter',
      () =>
        Array.from(this.#counts).flatMap(([use, counts]) =>
          Object.entries(counts).map(([outcome, value]) => ({ labels: { use, outcome }, value })),
        ),
    );
  }

  close(): void {
    this.#redis.removeAllListeners();
    this.#redis.on('error', () => undefined);
    this.#redis.disconnect();
  }

  #up(): void {
    if (this.#isUp === true) return;
    this.#isUp = true;
    this.#logger.info('Redis answers: decisions, limits and audit events are shared');
  }

  #down(error: unknown): void {
    if (this.#isUp === false) return;
    this.#isUp = false;
    this.#logger.warn('Redis does not answer: this server decides by itself', { error: errorMessage(error) });
  }
}
