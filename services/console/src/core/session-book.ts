import type { Clock, Random } from '@pilothouse/base';

export interface SessionBookOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly sessionsMax: number;
  readonly secretBytes: number;
}

interface Entry<T> {
  readonly value: T;
  readonly startedMs: number;
  usedMs: number;
}

/**
 * Who is logged in, in memory only: what a session holds never leaves the process, the browser knows nothing but a random number. `onEnd` gets
 * each value once, when its session is over.
 */
export class SessionBook<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #options: SessionBookOptions;
  readonly #onEnd: (value: T) => void;

  constructor(options: SessionBookOptions, onEnd: (value: T) => void) {
    this.#options = options;
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The id of a new session. When there are too many, the one that was not used for the longest time ends. */
  start(value: T): string {
    this.sweep();
    if (this.#entries.size >= this.#options.sessionsMax) {
      const [oldest] = [...this.#entries].sort(([, a], [, b]) => a.usedMs - b.usedMs);
      if (oldest) this.end(oldest[0]);
    }
    const id = Buffer.from(this.#options.random.bytes(this.#options.secretBytes)).toString('base64url');
    const now = this.#options.clock.monotonic();
    this.#entries.set(id, { value, startedMs: now, usedMs: now });
    return id;
  }

  /** What a session holds, and counts as a use of it. */
  find(id: string | undefined): T | undefined {
    const entry = id === undefined ? undefined : this.#entries.get(id);
    if (id === undefined || entry === undefined) return undefined;
    if (this.#isOver(entry)) {
      this.end(id);
      return undefined;
    }
    entry.usedMs = this.#options.clock.monotonic();
    return entry.value;
  }

  end(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#onEnd(entry.value);
  }

  /** Ends what is over. */
  sweep(): void {
    for (const [id, entry] of this.#entries) if (this.#isOver(entry)) this.end(id);
  }

  endAll(): void {
    for (const id of this.#entries.keys()) this.end(id);
  }

  #isOver(entry: Entry<T>): boolean {
    const now = this.#options.clock.monotonic();
    return now - entry.usedMs > this.#options.idleMs || now - entry.startedMs > this.#options.lifetimeMs;
  }
}

/** The value of a cookie in a Cookie header (RFC 6265, section 5.4). */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  for (const part of (header ?? '').split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}
