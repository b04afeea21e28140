import { createHash } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import type { SecuritySeries } from '../metrics/security-series.ts';
import type { AuthenticationResult } from './interface.ts';

/** How long a token that was good counts as good, milliseconds (upstream's --authentication-token-…-success default). */
const goodMs = 10_000;
const entriesMax = 4096;

/**
 * Remembers tokens that were good for a short time: checking a signature and looking up what the token is bound to costs more than most
 * requests. A token whose account was deleted so stays good for up to that time. Keeps hashes, no tokens.
 */
export class TokenCache {
  readonly #clock: Clock;
  /** Counts what made all answers void, so that a check from before does not bring one back. */
  #generation = 0;
  readonly #entries = new Map<string, { readonly result: AuthenticationResult; readonly untilMs: number }>();

  readonly #series: SecuritySeries['tokenCache'] | undefined;

  constructor(clock: Clock, series?: SecuritySeries) {
    this.#clock = clock;
    this.#series = series?.tokenCache;
  }

  /** The remembered result, always the same object; else that of `check`, remembered unless it throws. */
  async result(token: string, check: () => Promise<AuthenticationResult>): Promise<AuthenticationResult> {
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#entries.get(key);
    const nowMs = this.#clock.monotonic();
    if (known !== undefined && nowMs < known.untilMs) {
      this.#answered('hit', nowMs);
      return known.result;
    }
    const generation = this.#generation;
    const result = await this.#fetch(check, nowMs);
    if (generation !== this.#generation) return result;
    if (this.#entries.size >= entriesMax) this.#entries.clear();
    this.#entries.set(key, { result, untilMs: nowMs + goodMs });
    return result;
  }

  async #fetch(check: () => Promise<AuthenticationResult>, startedMs: number): Promise<AuthenticationResult> {
    const series = this.#series;
    const active = [series?.active.cell('in_flight'), series?.active.cell('blocked')];
    for (const each of active) each?.inc();
    let status = 'error';
    try {
      const result = await check();
      status = 'ok';
      return result;
    } finally {
      for (const each of active) each?.dec();
      series?.fetches.cell(status).inc();
      this.#answered('miss', startedMs);
    }
  }

  #answered(status: 'hit' | 'miss', startedMs: number): void {
    const series = this.#series;
    if (series === undefined) return;
    series.requests.cell(status).inc();
    series.seconds.series(status).observe((this.#clock.monotonic() - startedMs) / 1000);
  }

  /** Forgets all: who vouches for tokens has changed. */
  clear(): void {
    this.#generation++;
    this.#entries.clear();
  }
}
