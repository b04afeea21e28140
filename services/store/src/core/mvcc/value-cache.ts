/** Bytes that an entry costs beyond its value. */
const overheadBytes = 120;
/** Sub-revisions beyond this are not kept: two numbers must fit into one. */
const subMax = 4096;
const mainMax = 2 ** 40;

/** The values that were written or read last, so that most reads need neither a copy nor a search in the backend. */
export class ValueCache {
  readonly #bytesMax: number;
  /** In the order in which they came; the oldest leaves first. */
  readonly #values = new Map<number, Uint8Array>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(main: number, sub: number): Uint8Array | undefined {
    return this.#values.get(main * subMax + sub);
  }

  /** The bytes must not change any more. */
  add(main: number, sub: number, bytes: Uint8Array): void {
    const cost = bytes.length + overheadBytes;
    if (sub >= subMax || main >= mainMax || cost * 16 > this.#bytesMax) return;
    const key = main * subMax + sub;
    if (this.#values.has(key)) return;
    this.#values.set(key, bytes);
    this.#bytes += cost;
    if (this.#bytes <= this.#bytesMax) return;
    for (const [oldest, { length }] of this.#values) {
      this.#values.delete(oldest);
      this.#bytes -= length + overheadBytes;
      if (this.#bytes <= this.#bytesMax) return;
    }
  }

  delete(main: number, sub: number): void {
    const key = main * subMax + sub;
    const bytes = this.#values.get(key);
    if (bytes === undefined) return;
    this.#values.delete(key);
    this.#bytes -= bytes.length + overheadBytes;
  }

  clear(): void {
    this.#values.clear();
    this.#bytes = 0;
  }
}
