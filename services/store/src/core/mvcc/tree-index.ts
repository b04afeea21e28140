import { orderedMap, type OrderedMap } from '@pilothouse/base';
import type { KeyRange, KeyText } from '../key-text.ts';
import { KeyIndex, type KeyVersion } from './key-index.ts';

/** Every key that has a kept revision: found by hash, walked in key order. */
export class TreeIndex {
  readonly #byKey = new Map<KeyText, KeyIndex>();
  readonly #ordered: OrderedMap<KeyText, KeyIndex> = orderedMap<KeyText, KeyIndex>((a, b) =>
    a < b ? -1 : a > b ? 1 : 0,
  );

  get size(): number {
    return this.#byKey.size;
  }

  get(key: KeyText): KeyIndex | undefined {
    return this.#byKey.get(key);
  }

  getOrAdd(key: KeyText): KeyIndex {
    let index = this.#byKey.get(key);
    if (index === undefined) {
      index = new KeyIndex(key);
      this.#byKey.set(key, index);
      this.#ordered.set(key, index);
    }
    return index;
  }

  removeIfEmpty(index: KeyIndex): void {
    if (!index.isEmpty || !this.#byKey.delete(index.key)) return;
    this.#ordered.delete(index.key);
  }

  clear(): void {
    this.#byKey.clear();
    this.#ordered.clear();
  }

  /** Visits the keys of `range` that exist at `atMain`, in key order, until `visit` returns false. */
  walk(range: KeyRange, atMain: number, visit: (version: KeyVersion) => boolean): void {
    if (range.to === undefined) {
      const version = this.#byKey.get(range.from)?.at(atMain);
      if (version !== undefined) visit(version);
      return;
    }
    for (const [key, index] of this.#ordered.entries(range.from)) {
      if (range.to !== null && key >= range.to) return;
      const version = index.at(atMain);
      if (version !== undefined && !visit(version)) return;
    }
  }
}
