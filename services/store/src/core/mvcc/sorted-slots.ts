const blockLength = 512;

interface Block {
  readonly slots: Uint32Array;
  count: number;
}

/** Where a slot stands or would have to. */
interface Place {
  readonly block: number;
  readonly at: number;
}

/** Slots in the order of something outside: blocks of a few hundred each, so that a change moves little and garbage collection sees little. */
export class SortedSlots {
  readonly #blocks: Block[] = [];

  /** `compare`: below 0 for slots before the one that is looked for. Finds the first that is not. */
  #find(compare: (slot: number) => number): Place {
    const blocks = this.#blocks;
    let [low, high] = [0, blocks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare((blocks[middle] as Block).slots[0] as number) < 0) low = middle + 1;
      else high = middle;
    }
    // The block before the first one that begins behind it.
    const block = Math.max(0, low - 1);
    const { slots, count } = blocks[block] ?? { slots: [], count: 0 };
    [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(slots[middle] as number) < 0) low = middle + 1;
      else high = middle;
    }
    return { block, at: low };
  }

  /** The slot that compares as 0, or 0. */
  find(compare: (slot: number) => number): number {
    const found = this.#find(compare);
    const block = this.#blocks[found.block];
    const slot = found.at === block?.count ? this.#blocks[found.block + 1]?.slots[0] : block?.slots[found.at];
    return slot !== undefined && compare(slot) === 0 ? slot : 0;
  }

  insert(slot: number, compare: (slot: number) => number): void {
    const { block, at } = this.#find(compare);
    let into = this.#blocks[block];
    if (into === undefined) this.#blocks.push((into = { slots: new Uint32Array(blockLength), count: 0 }));
    if (into.count === blockLength) {
      // Keys often come in ascending order: then the full block stays as it is.
      const kept = at === blockLength ? blockLength : blockLength / 2;
      const next: Block = { slots: new Uint32Array(blockLength), count: blockLength - kept };
      next.slots.set(into.slots.subarray(kept));
      into.count = kept;
      this.#blocks.splice(block + 1, 0, next);
      if (at > kept || kept === blockLength) return put(next, at - kept, slot);
    }
    put(into, at, slot);
  }

  remove(slot: number, compare: (slot: number) => number): void {
    let { block, at } = this.#find(compare);
    if (at === this.#blocks[block]?.count) [block, at] = [block + 1, 0];
    const from = this.#blocks[block];
    if (from?.slots[at] !== slot) throw new Error('The sorted slots do not hold the slot that is to go');
    from.slots.copyWithin(at, at + 1, from.count);
    from.count--;
    const next = this.#blocks[block + 1];
    if (from.count === 0) this.#blocks.splice(block, 1);
    else if (next !== undefined && from.count + next.count <= blockLength / 2) {
      from.slots.set(next.slots.subarray(0, next.count), from.count);
      from.count += next.count;
      this.#blocks.splice(block + 1, 1);
    }
  }

  /** How many slots stand from the first that `from` does not compare below 0 up to the first that `to` does not. */
  count(from: (slot: number) => number, to: ((slot: number) => number) | undefined): number {
    const begin = this.#find(from);
    const end = to === undefined ? { block: this.#blocks.length, at: 0 } : this.#find(to);
    let count = end.at - begin.at;
    for (let block = begin.block; block < end.block; block++) count += this.#blocks[block]?.count ?? 0;
    return count;
  }

  /** Visits slots in order from the first that `from` does not compare below 0 up to the first that `to` does not, until `visit` is false. */
  walk(
    from: (slot: number) => number,
    to: ((slot: number) => number) | undefined,
    visit: (slot: number) => boolean,
  ): void {
    const begin = this.#find(from);
    const end = to === undefined ? { block: this.#blocks.length, at: 0 } : this.#find(to);
    for (let block = begin.block; block <= end.block && block < this.#blocks.length; block++) {
      const { slots, count } = this.#blocks[block] as Block;
      const last = block === end.block ? end.at : count;
      for (let at = block === begin.block ? begin.at : 0; at < last; at++)
        if (!visit(slots[at] as number)) return;
    }
  }
}

function put(block: Block, at: number, slot: number): void {
  block.slots.copyWithin(at + 1, at, block.count);
  block.slots[at] = slot;
  block.count++;
}
