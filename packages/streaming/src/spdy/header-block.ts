import { createInflate } from 'node:zlib';
import { spdyDictionary } from './dictionary.ts';
import { SpdyError } from './frame.ts';

/** Lower-case names; several values of one name are joined with NUL. */
export type SpdyHeaders = Readonly<Record<string, string>>;

const blockBytesMax = 1 << 20;
const pairsMax = 1000;
/** CMF and FLG of a zlib stream with a preset dictionary (RFC 1950), then the dictionary's Adler-32. */
const zlibHead = Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
/** An empty stored block: tells the reader that everything before it is complete (what Z_SYNC_FLUSH writes). */
const flushMark = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]);
const storedBytesMax = 0xffff;

/** Name/value block (section 2.6.10), not compressed. */
export function encodePairs(headers: SpdyHeaders): Buffer {
  const entries = Object.entries(headers);
  const pieces: Buffer[] = [];
  const number = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    pieces.push(bytes);
  };
  const word = (text: string): void => {
    const bytes = Buffer.from(text, 'utf8');
    number(bytes.length);
    pieces.push(bytes);
  };
  number(entries.length);
  for (const [name, value] of entries) {
    word(name.toLowerCase());
    word(value);
  }
  return Buffer.concat(pieces);
}

/** Throws SpdyError when the lengths do not fit the block. */
export function decodePairs(block: Buffer): SpdyHeaders {
  let at = 0;
  const number = (): number => {
    if (at + 4 > block.length) throw new SpdyError('Header block ends early');
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const word = (): string => {
    const length = number();
    if (at + length > block.length) throw new SpdyError('Header block ends early');
    at += length;
    return block.toString('utf8', at - length, at);
  };
  const count = number();
  if (count > pairsMax) throw new SpdyError(`Header block has ${count} pairs: want at most ${pairsMax}`);
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let index = 0; index < count; index++) {
    const name = word();
    headers[name.toLowerCase()] = word();
  }
  return headers;
}

/**
 * Packs header blocks into the connection's zlib stream as stored blocks: valid for every reader, needs no compressor state, and gives the
 * same bytes every time. The blocks of these protocols have a few dozen bytes, which compression would hardly shorten.
 */
export class HeaderPacker {
  #started = false;

  pack(headers: SpdyHeaders): Buffer {
    const plain = encodePairs(headers);
    const pieces: Buffer[] = this.#started ? [] : [zlibHead];
    this.#started = true;
    for (let at = 0; at < plain.length; at += storedBytesMax) {
      const part = plain.subarray(at, at + storedBytesMax);
      const head = Buffer.alloc(5);
      head.writeUInt16LE(part.length, 1);
      head.writeUInt16LE(~part.length & 0xffff, 3);
      pieces.push(head, part);
    }
    pieces.push(flushMark);
    return Buffer.concat(pieces);
  }
}

/** Unpacks the header blocks of one direction of a connection, in the order they came. One `unpack` at a time. */
export class HeaderUnpacker {
  readonly #inflate = createInflate({ dictionary: spdyDictionary });
  #pieces: Buffer[] = [];
  #bytes = 0;
  #fail: ((error: Error) => void) | undefined;

  constructor() {
    this.#inflate.on('data', (piece: Buffer) => {
      this.#bytes += piece.length;
      if (this.#bytes > blockBytesMax)
        this.#inflate.destroy(new SpdyError(`Header block is longer than ${blockBytesMax} bytes`));
      else this.#pieces.push(piece);
    });
    this.#inflate.on('error', (error) => this.#fail?.(error));
  }

  async unpack(block: Buffer): Promise<SpdyHeaders> {
    this.#pieces = [];
    this.#bytes = 0;
    await new Promise<void>((resolve, reject) => {
      this.#fail = (error) => reject(new SpdyError(`Header block is damaged: ${error.message}`));
      this.#inflate.write(block, () => this.#inflate.flush(() => resolve()));
    });
    this.#fail = undefined;
    return decodePairs(Buffer.concat(this.#pieces));
  }

  close(): void {
    this.#inflate.destroy();
  }
}
