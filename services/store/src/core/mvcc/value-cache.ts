/** Bytes that an entry costs beyond its value. */
const overheadBytes = 120;
/** Sub-revisions beyond this are not kept: two numbers must fit into one. */
const subMax = 4096;
const mainMax = 2 ** 40;

/**
 * The values that were written or read last, so that most reads need neither a copy nor a search in the backend.
 *
 * In two halves, of which the older goes as a whole: a Map whose first entries are removed one by one walks over all that it has removed before
 * to find the next.
 */
export class ValueCache {
  readonly #halfBytes: number;
  #young = new Map<number, Uint8Array>();
  #youngBytes = 0;
  #old = new Map<number, Uint8Array>();

  constructor(bytesMax: number) {
    this.#halfBytes = bytesMax / 2;
  }

  get(main: number, sub: number): Uint8Array | undefined {
    const key = main * subMax + sub;
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** The bytes must not change any more. */
  add(main: number, sub: number, bytes: Uint8Array): void {
    const cost = bytes.length + overheadBytes;
    if (sub >= subMax || main >= mainMax || cost * 8 > this.#halfBytes) return;
    const key = main * subMax + sub;
    if (this.#young.has(key) || this.#old.has(key)) return;
    this.#young.set(key, bytes);
    this.#youngBytes += cost;
    if (this.#youngBytes <= this.#halfBytes) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }

  delete(main: number, sub: number): void {
    const key = main * subMax + sub;
    const bytes = this.#young.get(key);
    if (bytes === undefined) {
      this.#old.delete(key);
      return;
    }
    this.#young.delete(key);
    this.#youngBytes -= bytes.length + overheadBytes;
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#youngBytes = 0;
  }
}
