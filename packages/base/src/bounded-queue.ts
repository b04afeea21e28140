import { assert } from './assert.ts';

/** A first-in first-out queue with a limit. `push` tells whether there was room; nothing is dropped silently. */
export class BoundedQueue<T> {
  readonly #limit: number;
  #items: (T | undefined)[] = [];
  #head = 0;

  constructor(limit: number) {
    assert(Number.isSafeInteger(limit) && limit > 0, `Queue limit must be a positive integer, got ${limit}`);
    this.#limit = limit;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  get isFull(): boolean {
    return this.length >= this.#limit;
  }

  /** Adds at the end; false, and nothing added, when the queue is full. */
  push(item: T): boolean {
    if (this.isFull) return false;
    this.#items.push(item);
    return true;
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }
}
