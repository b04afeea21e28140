import type { Duplex } from 'node:stream';

/** Frame types of RFC 9113. */
export const frameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;
export const frameHeaderBytes = 9;

const slabBytes = 64 * 1024;
/** Longer payloads are written as they are instead of copied. */
const copiedBytesMax = 16 * 1024;

/** Puts frames together and writes all that one turn of the event loop brought in one piece. */
export class FrameWriter {
  readonly #socket: Duplex;
  #slab = Buffer.allocUnsafe(slabBytes);
  #from = 0;
  #at = 0;
  #isScheduled = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** A frame whose payload are the pieces, one after the other. */
  frame(type: number, flags: number, id: number, ...payload: readonly Uint8Array[]): void {
    let length = 0;
    for (const piece of payload) length += piece.length;
    const isCopied = length <= copiedBytesMax;
    this.#reserve(frameHeaderBytes + (isCopied ? length : 0));
    const slab = this.#slab;
    slab.writeUIntBE(length, this.#at, 3);
    slab[this.#at + 3] = type;
    slab[this.#at + 4] = flags;
    slab.writeUInt32BE(id, this.#at + 5);
    this.#at += frameHeaderBytes;
    if (!isCopied) {
      this.flush();
      for (const piece of payload) this.#socket.write(piece);
      return;
    }
    for (const piece of payload) {
      slab.set(piece, this.#at);
      this.#at += piece.length;
    }
    this.#schedule();
  }

  bytes(piece: Uint8Array): void {
    this.#reserve(piece.length);
    this.#slab.set(piece, this.#at);
    this.#at += piece.length;
    this.#schedule();
  }

  flush(): void {
    if (this.#at === this.#from) return;
    const piece = this.#slab.subarray(this.#from, this.#at);
    this.#from = this.#at;
    if (!this.#socket.destroyed) this.#socket.write(piece);
  }

  #reserve(length: number): void {
    if (this.#slab.length - this.#at >= length) return;
    this.flush();
    this.#slab = Buffer.allocUnsafe(slabBytes);
    this.#from = 0;
    this.#at = 0;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
