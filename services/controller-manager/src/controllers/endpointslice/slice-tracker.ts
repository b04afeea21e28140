import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';

const trustMs = 30_000;

/** Remembers the slices that were just written: until the cache shows them, reconciling would write them twice. */
export class SliceTracker {
  readonly #clock: Clock;
  readonly #written = new Map<string, Map<string, { generation: number; atMs: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wrote(service: string, slice: KubeObject): void {
    let slices = this.#written.get(service);
    if (!slices) this.#written.set(service, (slices = new Map()));
    slices.set(slice.metadata.uid ?? '', {
      generation: slice.metadata.generation ?? 0,
      atMs: this.#clock.monotonic(),
    });
  }

  deleted(service: string, slice: KubeObject): void {
    const slices = this.#written.get(service);
    slices?.delete(slice.metadata.uid ?? '');
    if (slices?.size === 0) this.#written.delete(service);
  }

  /** True while a written slice is missing from `cached` or older there; after half a minute the cache is believed. */
  isStale(service: string, cached: readonly KubeObject[]): boolean {
    const slices = this.#written.get(service);
    if (!slices) return false;
    const generations = new Map(cached.map((each) => [each.metadata.uid, each.metadata.generation ?? 0]));
    for (const [uid, { generation, atMs }] of slices) {
      if ((generations.get(uid) ?? -1) >= generation || this.#clock.monotonic() - atMs > trustMs)
        slices.delete(uid);
    }
    if (slices.size === 0) this.#written.delete(service);
    return slices.size > 0;
  }

  forget(service: string): void {
    this.#written.delete(service);
  }
}
