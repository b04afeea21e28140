/**
 * Shares questions for the store's revision: everybody who asks while no answer is under way, or before the next question is sent,
 * gets the same answer. An answer only counts for those who asked before its question was sent, which keeps reads linearizable.
 */
export class FreshRevision {
  readonly #ask: () => Promise<number>;
  #running: Promise<number> | undefined;
  #next: Promise<number> | undefined;

  constructor(ask: () => Promise<number>) {
    this.#ask = ask;
  }

  get(): Promise<number> {
    if (this.#next !== undefined) return this.#next;
    const before = this.#running ?? Promise.resolve();
    const start = (): Promise<number> => {
      this.#next = undefined;
      this.#running = this.#ask();
      return this.#running;
    };
    // One microtask later even when idle, so that the requests of this moment come together.
    this.#next = before.then(start, start);
    return this.#next;
  }
}
