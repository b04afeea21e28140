import type { KeyText } from '../key-text.ts';

const pageBytes = 1 << 20;
/** Keys are given room in steps of this many bytes. */
const step = 16;
/** Longer keys have memory of their own. */
const sharedBytesMax = 4096;

/**
 * The bytes of many keys in few large pieces of memory, so that garbage collection has nothing to visit. A key's place is a number. Room that a
 * removed key leaves goes to the next one of about its length.
 */
export class KeyBytes {
  readonly #pages: Uint8Array[] = [];
  #used = pageBytes;
  /** Places to use again, by room. */
  readonly #free: number[][] = [];
  /** Long keys by their place, which is negative. */
  readonly #long = new Map<number, Uint8Array>();
  #lastLong = 0;

  /** Returns the place. */
  add(key: KeyText): number {
    const { length } = key;
    if (length > sharedBytesMax) {
      const bytes = new Uint8Array(length);
      write(bytes, 0, key);
      this.#long.set(--this.#lastLong, bytes);
      return this.#lastLong;
    }
    const room = roomOf(length);
    const place = this.#free[room]?.pop() ?? this.#next(room * step);
    write(this.#page(place), place % pageBytes, key);
    return place;
  }

  #next(bytes: number): number {
    if (this.#used + bytes > pageBytes) {
      this.#pages.push(new Uint8Array(pageBytes));
      this.#used = 0;
    }
    const place = (this.#pages.length - 1) * pageBytes + this.#used;
    this.#used += bytes;
    return place;
  }

  #page(place: number): Uint8Array {
    return this.#pages[Math.floor(place / pageBytes)] as Uint8Array;
  }

  remove(place: number, length: number): void {
    if (place < 0) this.#long.delete(place);
    else (this.#free[roomOf(length)] ??= []).push(place);
  }

  text(place: number, length: number): KeyText {
    if (place < 0) {
      let text = '';
      for (const byte of this.#long.get(place) as Uint8Array) text += String.fromCharCode(byte);
      return text;
    }
    const at = place % pageBytes;
    return String.fromCharCode.apply(
      null,
      this.#page(place).subarray(at, at + length) as unknown as number[],
    );
  }

  /** Below 0: the stored key comes before `key`; 0: it is the same. */
  compare(place: number, length: number, key: KeyText): number {
    const bytes = place < 0 ? (this.#long.get(place) as Uint8Array) : this.#page(place);
    const from = place < 0 ? 0 : place % pageBytes;
    const common = Math.min(length, key.length);
    for (let at = 0; at < common; at++) {
      const difference = (bytes[from + at] as number) - key.charCodeAt(at);
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }
}

const roomOf = (length: number): number => Math.ceil(length / step);

function write(bytes: Uint8Array, at: number, key: KeyText): void {
  for (let index = 0; index < key.length; index++) bytes[at + index] = key.charCodeAt(index);
}
