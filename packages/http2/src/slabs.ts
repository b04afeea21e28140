/** Room for the frames of many connections. */
export interface Slab {
  readonly buffer: Buffer;
  /** What is before belongs to somebody. */
  at: number;
  /** Outputs with bytes in it that are not sent. */
  users: number;
}

/** A long answer leaves in outputs of one slab. */
export const slabBytes = 256 * 1024;
/** Slabs that are kept for the next turns. */
const keptMax = 16;

/**
 * Memory that is used again and again. Memory outside of V8's heap that is allocated anew for each turn makes V8 mark the whole heap several times a
 * second, however small it is. All connections that have something to say in a turn share slabs, each a stretch of its own; a slab is used again when
 * everything in it is sent.
 */
export class Slabs {
  #current: Slab | undefined;
  readonly #kept: Slab[] = [];

  /** A slab with at least `length` free bytes, at most {@link slabBytes}; the caller is a user of it until {@link Slabs.release}. */
  share(length: number): Slab {
    const wanted = Math.min(length, slabBytes);
    let slab = this.#current;
    if (slab === undefined || slabBytes - slab.at < wanted) {
      slab = this.#kept.pop() ?? { buffer: Buffer.allocUnsafeSlow(slabBytes), at: 0, users: 0 };
      this.#current = slab;
    }
    slab.users++;
    return slab;
  }

  /** Makes a stretch that ends at `end` longer, up to `wanted` where nobody has what follows. Returns its new end. */
  extend(slab: Slab, end: number, wanted: number): number {
    if (slab.at !== end) return end;
    slab.at = Math.min(slabBytes, Math.max(end, wanted));
    return slab.at;
  }

  /** Of a stretch that ends at `end`, only what is before `used` is needed. */
  giveBack(slab: Slab, used: number, end: number): void {
    if (slab.at === end) slab.at = used;
  }

  /** One user less. */
  release(slab: Slab): void {
    if (--slab.users > 0) return;
    slab.at = 0;
    if (slab !== this.#current && this.#kept.length < keptMax) this.#kept.push(slab);
  }
}
