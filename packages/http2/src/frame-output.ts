import { frameFlag, frameHeaderBytes, frameType } from './protocol.ts';
import { Slabs, type Slab } from './slabs.ts';

/** Longer payloads are handed on as they are instead of copied. */
export const copiedBytesMax = 16 * 1024;
const shareBytesMin = 1024;

const slabs = new Slabs();
const nothing = Buffer.alloc(0);
const none: readonly Slab[] = [];

/** Puts the frames together that one turn of the event loop brings. Bytes given to it must not change until they are sent. */
export class FrameOutput {
  #slab: Slab | undefined;
  #buffer: Buffer = nothing;
  #from = 0;
  #at = 0;
  /** Of the slab, what is ours ends here. */
  #end = 0;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #copiedBytes = 0;
  /** Slabs that were left for others. */
  #left: Slab[] | undefined;
  /** Slabs of each output that was taken and is not sent yet, the oldest first. */
  readonly #unsent: (readonly Slab[])[] = [];
  /** What the next output will need, by what the last one did. */
  #shareBytes = shareBytesMin;
  #isWoken = false;
  readonly #wake: () => void;

  readonly #isReused: boolean;

  /**
   * `wake` is called with the first bytes after each {@link FrameOutput.take}. With `isReused` each output that was taken must be followed by
   * {@link FrameOutput.sent} once it is sent; otherwise its memory is left to the garbage collector.
   */
  constructor(wake: () => void, isReused = false) {
    this.#wake = wake;
    this.#isReused = isReused;
  }

  /** Bytes that were not taken yet. */
  get bytes(): number {
    return this.#pieceBytes + this.#at - this.#from;
  }

  /** All bytes so far, in order. */
  take(): readonly Uint8Array[] {
    this.#isWoken = false;
    this.#cut();
    const pieces = this.#pieces;
    const slab = this.#slab;
    if (slab !== undefined) slabs.giveBack(slab, this.#at, this.#end);
    if (this.#isReused && pieces.length > 0) {
      if (slab !== undefined) this.#left?.push(slab);
      this.#unsent.push(this.#left ?? (slab === undefined ? none : [slab]));
    }
    // Follows growth at once and shrinks slowly.
    this.#shareBytes = Math.max(shareBytesMin, this.#copiedBytes, this.#shareBytes >> 1);
    this.#copiedBytes = 0;
    this.#slab = undefined;
    this.#left = undefined;
    this.#buffer = nothing;
    this.#from = 0;
    this.#at = 0;
    this.#end = 0;
    this.#pieces = [];
    this.#pieceBytes = 0;
    return pieces;
  }

  /** The oldest output that was taken is sent: nobody reads its bytes any more. */
  sent(): void {
    const used = this.#unsent.shift();
    if (used !== undefined) for (const slab of used) slabs.release(slab);
  }

  /** A frame without a payload. */
  empty(type: number, flags: number, id: number): void {
    this.#head(this.#reserve(frameHeaderBytes), 0, type, flags, id);
  }

  /** A frame with a number of 32 bits as its payload. */
  number(type: number, id: number, value: number): void {
    const slab = this.#reserve(frameHeaderBytes + 4);
    this.#head(slab, 4, type, 0, id);
    slab.writeUInt32BE(value, this.#at);
    this.#at += 4;
  }

  frame(type: number, flags: number, id: number, payload: Uint8Array): void {
    const { length } = payload;
    if (length > copiedBytesMax) {
      this.#head(this.#reserve(frameHeaderBytes), length, type, flags, id);
      this.#cut();
      this.#pieces.push(payload);
      this.#pieceBytes += length;
      return;
    }
    const slab = this.#reserve(frameHeaderBytes + length);
    this.#head(slab, length, type, flags, id);
    slab.set(payload, this.#at);
    this.#at += length;
  }

  /** A frame whose payload are the pieces, one after the other, `length` bytes in all and at most 16 KiB. */
  frameOf(type: number, flags: number, id: number, pieces: readonly Uint8Array[], length: number): void {
    const slab = this.#reserve(frameHeaderBytes + length);
    this.#head(slab, length, type, flags, id);
    for (const piece of pieces) {
      slab.set(piece, this.#at);
      this.#at += piece.length;
    }
  }

  /** HEADERS, and CONTINUATION where a frame holds no more than `frameBytes`. */
  headers(id: number, block: Uint8Array, isLast: boolean, frameBytes: number): void {
    const last = isLast ? frameFlag.endStream : 0;
    if (block.length <= frameBytes) {
      this.frame(frameType.headers, last | frameFlag.endHeaders, id, block);
      return;
    }
    this.frame(frameType.headers, last, id, block.subarray(0, frameBytes));
    for (let at = frameBytes; at < block.length; at += frameBytes) {
      const end = Math.min(block.length, at + frameBytes);
      const flags = end === block.length ? frameFlag.endHeaders : 0;
      this.frame(frameType.continuation, flags, id, block.subarray(at, end));
    }
  }

  /** Bytes that are frames already. At most 16 KiB. */
  ready(piece: Uint8Array): void {
    const slab = this.#reserve(piece.length);
    slab.set(piece, this.#at);
    this.#at += piece.length;
  }

  #head(slab: Buffer, length: number, type: number, flags: number, id: number): void {
    let at = this.#at;
    slab[at++] = length >>> 16;
    slab[at++] = length >>> 8;
    slab[at++] = length;
    slab[at++] = type;
    slab[at++] = flags;
    slab[at++] = id >>> 24;
    slab[at++] = id >>> 16;
    slab[at++] = id >>> 8;
    slab[at++] = id;
    this.#at = at;
  }

  /** Room for `length` bytes at `#at`. */
  #reserve(length: number): Buffer {
    if (!this.#isWoken) {
      this.#isWoken = true;
      this.#wake();
    }
    if (this.#end - this.#at >= length) return this.#buffer;
    const more = Math.max(length, this.#shareBytes);
    let slab = this.#slab;
    if (slab !== undefined) {
      const end = slabs.extend(slab, this.#end, this.#at + more);
      if (end - this.#at >= length) {
        this.#end = end;
        return this.#buffer;
      }
      this.#cut();
      slabs.giveBack(slab, this.#at, this.#end);
      (this.#left ??= []).push(slab);
    }
    slab = slabs.share(more);
    this.#slab = slab;
    this.#buffer = slab.buffer;
    this.#at = slab.at;
    this.#from = slab.at;
    this.#end = slabs.extend(slab, slab.at, slab.at + more);
    return slab.buffer;
  }

  /** What stands in the slab becomes a piece. */
  #cut(): void {
    if (this.#at === this.#from) return;
    this.#pieces.push(this.#buffer.subarray(this.#from, this.#at));
    this.#pieceBytes += this.#at - this.#from;
    this.#copiedBytes += this.#at - this.#from;
    this.#from = this.#at;
  }
}
