const rowsBits = 12;
const rowsOfChunk = 1 << rowsBits;
const rowMask = rowsOfChunk - 1;

/**
 * Rows of numbers in few large pieces of memory, which grow without a copy and hold nothing for garbage collection to visit. Rows are named by
 * slots from 1 on; those that are given back are used again.
 */
export class Slots {
  readonly #widths: { readonly wide: number; readonly narrow: number };
  readonly #wide: Float64Array[] = [];
  readonly #narrow: Uint32Array[] = [];
  #used = 1;
  #free = 0;

  /** `wide`: numbers of a row that may be anything; `narrow`: those from 0 to 2³²−1, at least one. */
  constructor(wide: number, narrow: number) {
    this.#widths = { wide, narrow };
  }

  /** A row; what stands in it is left from before. */
  add(): number {
    const again = this.#free;
    if (again !== 0) {
      this.#free = this.narrow(again, 0);
      return again;
    }
    const slot = this.#used++;
    if (slot >> rowsBits >= this.#narrow.length) {
      this.#wide.push(new Float64Array(rowsOfChunk * this.#widths.wide));
      this.#narrow.push(new Uint32Array(rowsOfChunk * this.#widths.narrow));
    }
    return slot;
  }

  remove(slot: number): void {
    this.setNarrow(slot, 0, this.#free);
    this.#free = slot;
  }

  wide(slot: number, column: number): number {
    return (this.#wide[slot >> rowsBits] as Float64Array)[
      (slot & rowMask) * this.#widths.wide + column
    ] as number;
  }

  setWide(slot: number, column: number, value: number): void {
    (this.#wide[slot >> rowsBits] as Float64Array)[(slot & rowMask) * this.#widths.wide + column] = value;
  }

  narrow(slot: number, column: number): number {
    return (this.#narrow[slot >> rowsBits] as Uint32Array)[
      (slot & rowMask) * this.#widths.narrow + column
    ] as number;
  }

  setNarrow(slot: number, column: number, value: number): void {
    (this.#narrow[slot >> rowsBits] as Uint32Array)[(slot & rowMask) * this.#widths.narrow + column] = value;
  }
}
