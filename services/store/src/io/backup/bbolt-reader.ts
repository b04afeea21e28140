import fs from 'node:fs';
import { CodedError } from '@pilothouse/base';
import { bbolt, fnv1a64 } from './bbolt-format.ts';

/** A backup that cannot be used. The message names the file, what is wrong and what to do. */
export class BackupError extends CodedError {
  constructor(code: 'unreadable' | 'damaged' | 'refused', message: string, options?: { cause?: unknown }) {
    super(code, message, options);
  }
}

interface Meta {
  readonly pageBytes: number;
  readonly root: number;
  readonly pages: number;
  readonly transaction: bigint;
}

/** Bytes of one page at most, overflow included: a value is at most a request, a page at most a few of them. */
const overflowBytesMax = 256 * 1024 * 1024;
/** A tree of more levels than this is damaged. */
const levelsMax = 32;

export type BboltEntry = readonly [key: Uint8Array, value: Uint8Array];

/** Reads the buckets of a bbolt file entry by entry; holds one page of each level of a tree at a time. */
export class BboltReader {
  readonly #file: string;
  readonly #descriptor: number;
  readonly #meta: Meta;

  /** Throws {@link BackupError} when `file` is not a bbolt file. */
  constructor(file: string) {
    this.#file = file;
    try {
      this.#descriptor = fs.openSync(file, 'r');
    } catch (error) {
      throw new BackupError('unreadable', `Cannot open "${file}": ${(error as Error).message}`, {
        cause: error,
      });
    }
    try {
      this.#meta = this.#readMeta();
    } catch (error) {
      fs.closeSync(this.#descriptor);
      throw error;
    }
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }

  #damaged(what: string): BackupError {
    return new BackupError('damaged', `"${this.#file}" is damaged: ${what}. Use another backup`);
  }

  #read(offset: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const count = fs.readSync(this.#descriptor, buffer, done, length - done, offset + done);
      if (count === 0) throw this.#damaged(`it ends at ${offset + done}`);
      done += count;
    }
    return buffer;
  }

  /** The newer of the two meta pages that are whole. The page size is in them, so the second is looked for at each likely one. */
  #readMeta(): Meta {
    let best: Meta | undefined;
    const consider = (offset: number): void => {
      let bytes: Buffer;
      try {
        bytes = this.#read(offset + bbolt.pageHeaderBytes, 64);
      } catch {
        return;
      }
      if (bytes.readUInt32LE(0) !== bbolt.magic || bytes.readUInt32LE(4) !== bbolt.version) return;
      if (bytes.readBigUInt64LE(56) !== fnv1a64(bytes.subarray(0, 56))) return;
      const meta: Meta = {
        pageBytes: bytes.readUInt32LE(8),
        root: Number(bytes.readBigUInt64LE(16)),
        pages: Number(bytes.readBigUInt64LE(40)),
        transaction: bytes.readBigUInt64LE(48),
      };
      if (best === undefined || meta.transaction > best.transaction) best = meta;
    };
    consider(0);
    for (const pageBytes of [4096, 8192, 16384, 65536]) consider(pageBytes);
    if (best === undefined)
      throw new BackupError(
        'unreadable',
        `"${this.#file}" is not a backup: neither of its two first pages is whole. Want a file of pilothouse backup or etcdctl snapshot save`,
      );
    return best;
  }

  #page(id: number): Buffer {
    const { pageBytes, pages } = this.#meta;
    if (id < 2 || id >= pages) throw this.#damaged(`a link leads to page ${id} of ${pages}`);
    const header = this.#read(id * pageBytes, bbolt.pageHeaderBytes);
    if (Number(header.readBigUInt64LE(0)) !== id)
      throw this.#damaged(`page ${id} says that it is another one`);
    const length = (header.readUInt32LE(12) + 1) * pageBytes;
    if (length > overflowBytesMax) throw this.#damaged(`page ${id} claims ${length} bytes`);
    return this.#read(id * pageBytes, length);
  }

  /** Names of the buckets. */
  names(): string[] {
    return [...this.#walk(this.#page(this.#meta.root), 0)].map(([key]) => Buffer.from(key).toString());
  }

  /** The entries of a bucket in key order; nothing when there is none of that name. */
  *entries(bucket: string): Generator<BboltEntry> {
    const name = Buffer.from(bucket);
    for (const [key, value, flags] of this.#walk(this.#page(this.#meta.root), 0)) {
      if (!name.equals(key)) continue;
      if ((flags & bbolt.bucketElement) === 0 || value.length < bbolt.bucketHeaderBytes)
        throw this.#damaged(`"${bucket}" is not a bucket`);
      const root = Number(Buffer.from(value.buffer, value.byteOffset, 8).readBigUInt64LE(0));
      // A small bucket stands in the element itself, as one leaf page.
      const page = root === 0 ? Buffer.from(value.subarray(bbolt.bucketHeaderBytes)) : this.#page(root);
      for (const [entryKey, entryValue] of this.#walk(page, 0)) yield [entryKey, entryValue];
    }
  }

  *#walk(page: Buffer, level: number): Generator<readonly [Uint8Array, Uint8Array, number]> {
    if (level > levelsMax) throw this.#damaged('a tree has no end');
    const flags = page.readUInt16LE(8);
    const count = page.readUInt16LE(10);
    const slice = (from: number, length: number): Uint8Array => {
      if (from + length > page.length)
        throw this.#damaged(`an entry of page ${page.readBigUInt64LE(0)} leaves it`);
      return page.subarray(from, from + length);
    };
    if (bbolt.pageHeaderBytes + count * bbolt.elementBytes > page.length)
      throw this.#damaged(`page ${page.readBigUInt64LE(0)} claims ${count} entries`);
    for (let index = 0; index < count; index++) {
      const at = bbolt.pageHeaderBytes + index * bbolt.elementBytes;
      if (flags & bbolt.flag.leaf) {
        const key = at + page.readUInt32LE(at + 4);
        const keyLength = page.readUInt32LE(at + 8);
        yield [
          slice(key, keyLength),
          slice(key + keyLength, page.readUInt32LE(at + 12)),
          page.readUInt32LE(at),
        ];
      } else if (flags & bbolt.flag.branch) {
        yield* this.#walk(this.#page(Number(page.readBigUInt64LE(at + 8))), level + 1);
      } else throw this.#damaged(`page ${page.readBigUInt64LE(0)} is of no kind that belongs to a tree`);
    }
  }
}
