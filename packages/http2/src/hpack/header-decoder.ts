import { startTableBytes } from '../protocol.ts';
import { huffmanText } from './huffman.ts';
import { staticTable } from './static-table.ts';

/** What each entry of the table counts beside its texts. */
export const entryOverheadBytes = 32;

/** A header field. Entries of tables are given again and again as the same object, so that what was found out about one can be kept on it. */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** 0: nobody has looked yet; else the reader's. */
  mark = 0;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
  }

  get bytes(): number {
    return this.name.length + this.value.length + entryOverheadBytes;
  }
}

const staticFields: readonly HeaderField[] = staticTable.map(([name, value]) => new HeaderField(name, value));

/**
 * HPACK's decoder (RFC 7541) with a table of at most `tableBytesMax` bytes. Every block of a connection must go through it, in order.
 * Names and values are bytes as characters (latin1).
 */
export class HeaderDecoder {
  readonly #tableBytesMax: number;
  #tableLimit: number;
  /** Newest last; those before `#oldest` are gone. */
  #entries: HeaderField[] = [];
  #oldest = 0;
  #bytes = 0;
  /** Grows with each change of the table. */
  version = 0;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(tableBytesMax = startTableBytes) {
    this.#tableBytesMax = tableBytesMax;
    this.#tableLimit = tableBytesMax;
  }

  /** Bytes that the table's entries count. */
  get tableBytes(): number {
    return this.#bytes;
  }

  /** Gives each field of a whole block to `onField`. Throws on a damaged block: the connection cannot go on then. */
  decode(block: Buffer, onField: (field: HeaderField) => void): void {
    this.#block = block;
    this.#at = 0;
    let isFirst = true;
    while (this.#at < block.length) {
      const first = block[this.#at] as number;
      if ((first & 0x80) !== 0) onField(this.#entry(this.#integer(7)));
      else if ((first & 0xc0) === 0x40) {
        const field = this.#literal(6);
        this.#insert(field);
        onField(field);
      } else if ((first & 0xe0) === 0x20) {
        if (!isFirst) throw new Error('Change of the table within a header block');
        this.#resize(this.#integer(5));
        continue;
      } else onField(this.#literal(4));
      isFirst = false;
    }
  }

  #entry(index: number): HeaderField {
    const field =
      index <= staticFields.length
        ? staticFields[index - 1]
        : this.#entries[this.#entries.length - (index - staticFields.length)];
    if (field === undefined || index - staticFields.length > this.#entries.length - this.#oldest)
      throw new Error('Header refers to an entry that is not there');
    return field;
  }

  #literal(indexBits: number): HeaderField {
    const index = this.#integer(indexBits);
    const name = index === 0 ? this.#text() : this.#entry(index).name;
    return new HeaderField(name, this.#text());
  }

  #insert(field: HeaderField): void {
    this.version++;
    const { bytes } = field;
    this.#evict(this.#tableLimit - bytes);
    if (bytes > this.#tableLimit) return;
    this.#entries.push(field);
    this.#bytes += bytes;
  }

  #resize(limit: number): void {
    if (limit > this.#tableBytesMax) throw new Error('Header table larger than what was offered');
    this.version++;
    this.#tableLimit = limit;
    this.#evict(limit);
  }

  #evict(bytesMax: number): void {
    while (this.#bytes > bytesMax && this.#oldest < this.#entries.length) {
      this.#bytes -= (this.#entries[this.#oldest] as HeaderField).bytes;
      this.#oldest++;
    }
    if (this.#oldest > 64 && this.#oldest * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#oldest);
      this.#oldest = 0;
    }
  }

  #integer(bits: number): number {
    const mask = (1 << bits) - 1;
    const value = this.#byte() & mask;
    return value < mask ? value : this.#longInteger(value);
  }

  #longInteger(first: number): number {
    let value = first;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('Number in a header is too large');
  }

  #text(): string {
    const isHuffman = ((this.#block[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at;
    const to = from + length;
    if (to > this.#block.length) throw new Error('Header block ends early');
    this.#at = to;
    if (isHuffman) return huffmanText(this.#block, from, to);
    return this.#block.toString('latin1', from, to);
  }

  #byte(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw new Error('Header block ends early');
    return byte;
  }
}
