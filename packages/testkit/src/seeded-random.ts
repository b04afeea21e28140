import { assert } from '@pilothouse/base';
import type { Random } from '@pilothouse/base';

/** A repeatable source: the same seed gives the same sequence (sfc32 seeded by splitmix32). Not for secrets. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  constructor(seed: number) {
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = state ^ (state >>> 16);
      z = Math.imul(z, 0x21f0aaad);
      z ^= z >>> 15;
      z = Math.imul(z, 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = next();
    this.#b = next() ^ Math.floor(seed / 2 ** 32);
    this.#c = next();
    for (let round = 0; round < 12; round++) this.uint32();
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  float(): number {
    return (this.uint32() * 2 ** 21 + (this.uint32() >>> 11)) / 2 ** 53;
  }

  integer(bound: number): number {
    assert(Number.isSafeInteger(bound) && bound > 0, `Bound must be a positive integer, got ${bound}`);
    return bound <= 2 ** 32
      ? Math.floor((this.uint32() / 2 ** 32) * bound)
      : Math.floor(this.float() * bound);
  }

  bytes(length: number): Uint8Array {
    const result = new Uint8Array(length);
    for (let index = 0; index < length; index++) result[index] = this.uint32() & 0xff;
    return result;
  }

  /** True with `probability` (0 to 1). */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'Cannot pick from nothing');
    return items[this.integer(items.length)] as T;
  }

  /** An independent source, so that one consumer's draws do not shift another's. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32());
  }
}
