import type { Random } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Storage } from '../../../storage/interface.ts';

/** What went wrong; the text is upstream's. */
export class PortAllocationError extends Error {}

const key = 'servicenodeports';

/** Ports that a dynamic allocation leaves to users who choose their own. */
const staticMin = 16;
const staticMax = 128;

/**
 * Node ports, as a bitmap in one RangeAllocation object that all servers change by compare-and-swap; the same object and bits
 * as upstream's, so that both can share a store.
 */
export class PortAllocator {
  readonly #storage: Pick<Storage, 'guaranteedUpdate' | 'get'>;
  readonly #base: number;
  readonly #size: number;
  readonly #random: Random;

  /** `base` to `base + size - 1`. `storage` holds RangeAllocation objects below `/registry/ranges/`. */
  constructor(
    storage: Pick<Storage, 'guaranteedUpdate' | 'get'>,
    base: number,
    size: number,
    random: Random,
  ) {
    this.#storage = storage;
    this.#base = base;
    this.#size = size;
    this.#random = random;
  }

  /** Takes this port. Throws {@link PortAllocationError}. */
  async allocate(port: number, dryRun: boolean): Promise<void> {
    const offset = port - this.#base;
    if (offset < 0 || offset >= this.#size) {
      // A dry run asks only whether somebody has the port.
      if (dryRun) return;
      const range = `${this.#base}-${this.#base + this.#size - 1}`;
      throw new PortAllocationError(
        `provided port is not in the valid range. The range of valid ports is ${range}`,
      );
    }
    await this.#change(dryRun, (bits) => {
      if (bits.has(offset)) throw new PortAllocationError('provided port is already allocated');
      bits.add(offset);
    });
  }

  /** Takes any free port. Throws {@link PortAllocationError} when all are taken. */
  async allocateNext(dryRun: boolean, avoid: ReadonlySet<number> = new Set()): Promise<number> {
    // What a dry run shows is a guess in any case; a search would not make it better.
    if (dryRun) return this.#base;
    let chosen = -1;
    await this.#change(dryRun, (bits) => {
      chosen = -1;
      for (const offset of this.#candidates()) {
        if (bits.has(offset) || avoid.has(this.#base + offset)) continue;
        chosen = offset;
        break;
      }
      if (chosen < 0) throw new PortAllocationError('range is full');
      bits.add(chosen);
    });
    return this.#base + chosen;
  }

  async release(ports: readonly number[]): Promise<void> {
    if (ports.length === 0) return;
    await this.#change(false, (bits) => {
      for (const port of ports) bits.delete(port - this.#base);
    });
  }

  *#candidates(): Iterable<number> {
    const size = this.#size;
    const reserved = size < staticMin ? 0 : Math.min(Math.max(staticMin, Math.floor(size / 32)), staticMax);
    const upper = size - reserved;
    const start = this.#random.integer(upper);
    for (let step = 0; step < upper; step++) yield reserved + ((start + step) % upper);
    for (let offset = 0; offset < reserved; offset++) yield offset;
  }

  async #change(dryRun: boolean, change: (bits: Set<number>) => void): Promise<void> {
    if (dryRun) {
      let data = '';
      try {
        data =
          ((await this.#storage.get(key, { resourceVersion: '' })).object['data'] as string | undefined) ??
          '';
      } catch {
        // Nothing was allocated yet.
      }
      change(decodeBits(data));
      return;
    }
    await this.#storage.guaranteedUpdate(
      key,
      { mustExist: false, preconditions: undefined },
      ({ existing }) => {
        const bits = decodeBits((existing?.object['data'] as string | undefined) ?? '');
        change(bits);
        const object: KubeObject = {
          apiVersion: 'v1',
          kind: 'RangeAllocation',
          metadata: {},
          range: `${this.#base}-${this.#base + this.#size - 1}`,
          data: encodeBits(bits),
        };
        return { object };
      },
    );
  }
}

/** A big-endian integer whose bit i says that offset i is taken, in base64. */
export function decodeBits(data: string): Set<number> {
  const bits = new Set<number>();
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[bytes.length - 1 - index] as number;
    for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) bits.add(index * 8 + bit);
  }
  return bits;
}

export function encodeBits(bits: ReadonlySet<number>): string {
  let highest = -1;
  for (const bit of bits) highest = Math.max(highest, bit);
  const bytes = new Uint8Array(Math.floor(highest / 8) + 1);
  for (const bit of bits) {
    const at = bytes.length - 1 - Math.floor(bit / 8);
    bytes[at] = (bytes[at] as number) | (1 << (bit % 8));
  }
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
