const chunkLength = 8192;

/** Numbers, first in first out, each to be seen by its position; grows and shrinks without a copy. */
export class NumberQueue {
  #chunks: Float64Array[] = [];
  /** Position of the first one in the first chunk. */
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#head + this.#length === this.#chunks.length * chunkLength)
      this.#chunks.push(new Float64Array(chunkLength));
    this.set(this.#length++, value);
  }

  /** `index` counts from the oldest, below {@link NumberQueue.length}. */
  at(index: number): number {
    const at = this.#head + index;
    return (this.#chunks[Math.floor(at / chunkLength)] as Float64Array)[at % chunkLength] as number;
  }

  /** Puts `value` in the place of one that is there. */
  set(index: number, value: number): void {
    const at = this.#head + index;
    (this.#chunks[Math.floor(at / chunkLength)] as Float64Array)[at % chunkLength] = value;
  }

  /** Removes the oldest ones. */
  drop(count: number): void {
    this.#head += count;
    this.#length -= count;
    const chunks = Math.floor(this.#head / chunkLength);
    if (chunks === 0) return;
    this.#chunks.splice(0, chunks);
    this.#head -= chunks * chunkLength;
  }

  /** How many of the oldest ones are at most `limit`, where they ascend. */
  countUpTo(limit: number): number {
    let [low, high] = [0, this.#length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle) <= limit) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
