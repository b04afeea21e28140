import { frameFlag, frameHeaderBytes, frameType } from './protocol.ts';

const slabBytes = 64 * 1024;
/** A slab with less room is not kept for others. */
const spareBytesMin = 4 * 1024;
/** Longer payloads are handed on as they are instead of copied. */
const copiedBytesMax = 16 * 1024;

/** Room that the last connection left, so that idle ones hold nothing. */
let spare: { readonly slab: Buffer; readonly at: number } | undefined;

/** Puts the frames together that one turn of the event loop brings. Bytes given to it must not change until they are sent. */
export class FrameOutput {
  #slab: Buffer | undefined;
  #from = 0;
  #at = 0;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #isWoken = false;
  readonly #wake: () => void;

  /** `wake` is called with the first bytes after each {@link FrameOutput.take}. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Bytes that were not taken yet. */
  get bytes(): number {
    return this.#pieceBytes + this.#at - this.#from;
  }

  /** All bytes so far, in order. */
  take(): readonly Uint8Array[] {
    this.#isWoken = false;
    this.#cut();
    const slab = this.#slab;
    if (slab !== undefined && slab.length - this.#at >= spareBytesMin) spare = { slab, at: this.#at };
    this.#slab = undefined;
    this.#from = 0;
    this.#at = 0;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#pieceBytes = 0;
    return pieces;
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

  /** A frame whose payload are the pieces, one after the other. At most 16 KiB in all. */
  frameOf(type: number, flags: number, id: number, pieces: readonly Uint8Array[]): void {
    let length = 0;
    for (const piece of pieces) length += piece.length;
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
    if (this.#slab !== undefined && this.#slab.length - this.#at >= length) return this.#slab;
    this.#cut();
    if (spare !== undefined && spare.slab.length - spare.at >= length) {
      this.#slab = spare.slab;
      this.#at = spare.at;
    } else {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#at = 0;
    }
    // Whoever takes it has it alone.
    spare = undefined;
    this.#from = this.#at;
    return this.#slab;
  }

  /** What stands in the slab becomes a piece. */
  #cut(): void {
    if (this.#slab === undefined || this.#at === this.#from) return;
    this.#pieces.push(this.#slab.subarray(this.#from, this.#at));
    this.#pieceBytes += this.#at - this.#from;
    this.#from = this.#at;
  }
}
