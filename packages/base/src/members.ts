/** One's place among {@link Members}. */
export interface Membership<T> {
  /** Whose place it is; undefined after it was left. */
  readonly value: T | undefined;
  /** Leaves; does nothing the second time. */
  leave(): void;
}

/**
 * Things that come and go by the thousand a second, in the order in which they came.
 *
 * A `Set` would serve but for the garbage collector: V8 copies its table every few changes, and the old table keeps a pointer to the new one.
 * Once a table has grown old (a server that was idle for a moment is enough), each later one is reached from it and promoted together with
 * all that it held, until a full collection: 6 KB for each request and a tenth of the time in scavenges (docs/performance.md). Places here
 * forget their neighbours when they leave. {@link IdMap} is the same for what is looked up.
 */
export class Members<T> {
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The place of who has been here longest. */
  get first(): Membership<T> | undefined {
    return this.#first;
  }

  add(value: T): Membership<T> {
    const place: Place<T> = new Place(value, (self) => this.#remove(self));
    place.previous = this.#last;
    if (this.#last === undefined) this.#first = place;
    else this.#last.next = place;
    this.#last = place;
    this.#size++;
    return place;
  }

  /** All places at this moment, oldest first. */
  places(): Membership<T>[] {
    const places: Membership<T>[] = [];
    for (let place = this.#first; place !== undefined; place = place.next) places.push(place);
    return places;
  }

  /** All at this moment, oldest first. */
  values(): T[] {
    return this.places().map(({ value }) => value as T);
  }

  /** All leave. */
  clear(): void {
    while (this.#first !== undefined) this.#first.leave();
  }

  #remove(place: Place<T>): void {
    const { previous, next } = place;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    place.previous = place.next = undefined;
    this.#size--;
  }
}

class Place<T> implements Membership<T> {
  value: T | undefined;
  previous: Place<T> | undefined;
  next: Place<T> | undefined;
  #remove: ((self: Place<T>) => void) | undefined;

  constructor(value: T, remove: (self: Place<T>) => void) {
    this.value = value;
    this.#remove = remove;
  }

  leave(): void {
    const remove = this.#remove;
    if (remove === undefined) return;
    this.#remove = undefined;
    remove(this);
    this.value = undefined;
  }
}
