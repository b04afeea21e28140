import { huffmanText } from '../hpack/huffman.ts';

// Header blocks without HPACK's table of earlier headers: we ask servers for a table of size 0 and never fill theirs.

/** What a gRPC client reads of an answer's headers; undefined: not among them. */
export interface AnswerHeaders {
  httpStatus: number | undefined;
  grpcStatus: string | undefined;
  grpcMessage: string | undefined;
}

/** Values of the static table's entries 8 to 14, all named `:status`. */
const staticStatuses = [200, 204, 206, 304, 400, 404, 500];
const firstStatus = 8;
const staticEntries = 61;

/** Reads a whole header block. Throws on one that is damaged or that needs a table. */
export function readAnswerHeaders(block: Uint8Array): AnswerHeaders {
  const out: AnswerHeaders = { httpStatus: undefined, grpcStatus: undefined, grpcMessage: undefined };
  const reader = new BlockReader(block);
  while (!reader.isAtEnd) {
    const first = block[reader.at] as number;
    if ((first & 0x80) !== 0) {
      const index = reader.integer(7);
      if (index === 0 || index > staticEntries) throw new Error('Header refers to a table that is not there');
      const status = staticStatuses[index - firstStatus];
      if (status !== undefined) out.httpStatus = status;
    } else if ((first & 0xe0) === 0x20) {
      // A change of the table's size.
      reader.integer(5);
    } else {
      const index = reader.integer((first & 0x40) === 0 ? 4 : 6);
      if (index > staticEntries) throw new Error('Header refers to a table that is not there');
      const isStatus = index >= firstStatus && index < firstStatus + staticStatuses.length;
      const name = index === 0 ? reader.text() : isStatus ? ':status' : '';
      if (name === ':status') out.httpStatus = Number(reader.text());
      else if (name === 'grpc-status') out.grpcStatus = reader.text();
      else if (name === 'grpc-message') out.grpcMessage = reader.text();
      else reader.skip();
    }
  }
  return out;
}

class BlockReader {
  at = 0;
  readonly #block: Uint8Array;

  constructor(block: Uint8Array) {
    this.#block = block;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#block.length;
  }

  /** An integer whose first byte has `bits` bits for it. */
  integer(bits: number): number {
    const mask = 2 ** bits - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('Number in a header is too large');
  }

  text(): string {
    const isHuffman = ((this.#block[this.at] ?? 0) & 0x80) !== 0;
    const bytes = this.skip();
    return isHuffman ? huffmanText(bytes) : Buffer.from(bytes).toString('latin1');
  }

  /** Passes over a text; gives its bytes as they stand. */
  skip(): Uint8Array {
    const length = this.integer(7);
    const from = this.at;
    this.at += length;
    if (this.at > this.#block.length) throw new Error('Header block ends early');
    return this.#block.subarray(from, this.at);
  }

  #byte(): number {
    const byte = this.#block[this.at++];
    if (byte === undefined) throw new Error('Header block ends early');
    return byte;
  }
}
