import type { Clock } from '@pilothouse/base';

const timeoutMs = 5 * 60_000;

/**
 * What a controller has done and its cache has not shown yet. While anything is outstanding the controller must not create or
 * delete again, or it would act twice on an old picture. Deletions are tracked by key, since a pod may be seen deleted twice.
 */
export class Expectations {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { creations: number; deletions: Set<string>; sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  expectCreations(owner: string, count: number): void {
    this.#entry(owner).creations += count;
  }

  expectDeletions(owner: string, keys: readonly string[]): void {
    const entry = this.#entry(owner);
    for (const key of keys) entry.deletions.add(key);
  }

  creationObserved(owner: string): void {
    const entry = this.#entries.get(owner);
    if (entry && entry.creations > 0) entry.creations--;
  }

  deletionObserved(owner: string, key: string): void {
    this.#entries.get(owner)?.deletions.delete(key);
  }

  /** True when nothing is outstanding, or it has been for five minutes: then a change was missed and the cache is the truth. */
  satisfied(owner: string): boolean {
    const entry = this.#entries.get(owner);
    if (!entry) return true;
    return (
      (entry.creations <= 0 && entry.deletions.size === 0) ||
      this.#clock.monotonic() - entry.sinceMs > timeoutMs
    );
  }

  forget(owner: string): void {
    this.#entries.delete(owner);
  }

  #entry(owner: string): { creations: number; deletions: Set<string>; sinceMs: number } {
    let entry = this.#entries.get(owner);
    if (!entry || (entry.creations <= 0 && entry.deletions.size === 0)) {
      entry = { creations: 0, deletions: new Set(), sinceMs: this.#clock.monotonic() };
      this.#entries.set(owner, entry);
    }
    return entry;
  }
}
