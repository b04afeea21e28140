import { createHash } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
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

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The remembered result, always the same object; else that of `check`, remembered unless it throws. */
  async result(token: string, check: () => Promise<AuthenticationResult>): Promise<AuthenticationResult> {
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#entries.get(key);
    const nowMs = this.#clock.monotonic();
    if (known !== undefined && nowMs < known.untilMs) return known.result;
    const generation = this.#generation;
    const result = await check();
    if (generation !== this.#generation) return result;
    if (this.#entries.size >= entriesMax) this.#entries.clear();
    this.#entries.set(key, { result, untilMs: nowMs + goodMs });
    return result;
  }

  /** Forgets all: who vouches for tokens has changed. */
  clear(): void {
    this.#generation++;
    this.#entries.clear();
  }
}
