interface Entry<V> {
  readonly id: number;
  value: V | undefined;
  previous: Entry<V> | undefined;
  next: Entry<V> | undefined;
}

const startBits = 3;
/** 2^32 divided by the golden ratio: spreads ids that follow each other (Knuth, TAOCP 3, 6.4). */
const spread = 0x9e3779b1;

/**
 * A map from numbers that come and go by the thousand a second, such as those of streams or requests; why not a `Map`:
 * {@link Members}. Open addressing, linear probing, no tombstones; the table grows and never shrinks. Ids are safe integers from 0 on.
 */
export class IdMap<V> {
  #bits = startBits;
  #table = newTable<V>(startBits);
  #first: Entry<V> | undefined;
  #last: Entry<V> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): V | undefined {
    return this.#table[this.#slotOf(id)]?.value;
  }

  has(id: number): boolean {
    return this.#table[this.#slotOf(id)] !== undefined;
  }

  set(id: number, value: V): void {
    const known = this.#table[this.#slotOf(id)];
    if (known !== undefined) {
      known.value = value;
      return;
    }
    // At most half full, so that a search ends soon.
    if (this.#size * 2 >= this.#table.length) this.#grow();
    const entry: Entry<V> = { id, value, previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.#table[this.#slotOf(id)] = entry;
    this.#size++;
  }

  /** Whether it was there. */
  delete(id: number): boolean {
    const slot = this.#slotOf(id);
    const entry = this.#table[slot];
    if (entry === undefined) return false;
    this.#unlink(entry);
    this.#close(slot);
    this.#size--;
    return true;
  }

  clear(): void {
    for (let entry = this.#first; entry !== undefined; entry = this.#first) this.#unlink(entry);
    this.#table.fill(undefined);
    this.#size = 0;
  }

  /** All at this moment, in the order in which they were set first. */
  values(): V[] {
    const values: V[] = [];
    for (let entry = this.#first; entry !== undefined; entry = entry.next) values.push(entry.value as V);
    return values;
  }

  /** Where an id is, or the free slot where it would be. */
  #slotOf(id: number): number {
    const mask = this.#table.length - 1;
    let slot = this.#homeOf(id);
    for (;;) {
      const entry = this.#table[slot];
      if (entry === undefined || entry.id === id) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #homeOf(id: number): number {
    return Math.imul(id, spread) >>> (32 - this.#bits);
  }

  /** Entries behind a freed slot move up, as far as their own place allows. */
  #close(freed: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let gap = freed;
    for (let slot = (gap + 1) & mask; ; slot = (slot + 1) & mask) {
      const entry = table[slot];
      if (entry === undefined) break;
      const home = this.#homeOf(entry.id);
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      table[gap] = entry;
      gap = slot;
    }
    table[gap] = undefined;
  }

  #unlink(entry: Entry<V>): void {
    const { previous, next } = entry;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    entry.previous = entry.next = entry.value = undefined;
  }

  #grow(): void {
    this.#bits++;
    this.#table = newTable(this.#bits);
    for (let entry = this.#first; entry !== undefined; entry = entry.next)
      this.#table[this.#slotOf(entry.id)] = entry;
  }
}

function newTable<V>(bits: number): (Entry<V> | undefined)[] {
  return Array.from<Entry<V> | undefined>({ length: 1 << bits }).fill(undefined);
}
