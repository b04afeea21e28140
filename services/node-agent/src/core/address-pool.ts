/** Hands out pod addresses of a node's /24, lowest free first, `.0` and `.1` left alone. */
export class AddressPool {
  readonly #prefix: string;
  readonly #used = new Set<number>();
  #next = 2;

  /** `prefix` is the first three numbers, e.g. `10.244.0`. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Goes round before it gives an address again, so that a late observer does not mistake one pod for another. */
  allocate(): string | undefined {
    for (let tries = 0; tries < 253; tries++) {
      const candidate = this.#next;
      this.#next = this.#next >= 254 ? 2 : this.#next + 1;
      if (!this.#used.has(candidate)) {
        this.#used.add(candidate);
        return `${this.#prefix}.${candidate}`;
      }
    }
    return undefined;
  }

  /** Marks an address that a pod already has, e.g. after a restart of the agent. False when it is not of this pool. */
  claim(address: string): boolean {
    if (!address.startsWith(`${this.#prefix}.`)) return false;
    this.#used.add(Number(address.slice(this.#prefix.length + 1)));
    return true;
  }

  release(address: string): void {
    if (address.startsWith(`${this.#prefix}.`))
      this.#used.delete(Number(address.slice(this.#prefix.length + 1)));
  }
}
