import fs from 'node:fs';
import { bbolt, fnv1a64 } from './bbolt-format.ts';

/**
 * Writes a file in bbolt's format (version 2), which etcd's tools read: pages of 4 KiB, B+ trees of sorted entries, two meta
 * pages. Write-only and in one pass: entries must come in key order, and the meta pages are filled in last. Pages gather in memory until
 * {@link BboltWriter.written}, so that no write makes the event loop wait for the disk.
 */
const { pageBytes, pageHeaderBytes, elementBytes, flag, bucketElement, magic, version } = bbolt;

interface Child {
  readonly firstKey: Uint8Array;
  readonly page: number;
}

interface Element {
  readonly flags: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class BboltWriter {
  readonly #file: fs.promises.FileHandle;
  /** Consecutive pages up to `#nextPage` that are not in the file yet, and their bytes. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Pages 0 and 1 are meta, 2 is the empty list of free pages. */
  #nextPage = 3;
  readonly #buckets: Element[] = [];

  private constructor(file: fs.promises.FileHandle) {
    this.#file = file;
  }

  static async open(path: string): Promise<BboltWriter> {
    return new BboltWriter(await fs.promises.open(path, 'w', 0o600));
  }

  /** Writes one bucket. Yields from time to time, so that the caller can let others run. */
  *bucket(name: string, entries: Iterable<readonly [Uint8Array, Uint8Array]>): Generator<void, void> {
    const children: Child[] = [];
    let pending: Element[] = [];
    let size = pageHeaderBytes;
    let written = 0;
    for (const [key, value] of entries) {
      const length = elementBytes + key.length + value.length;
      if (pending.length > 0 && size + length > pageBytes) {
        children.push(this.#leaf(pending));
        pending = [];
        size = pageHeaderBytes;
        if (++written % 8 === 0) yield;
      }
      pending.push({ flags: 0, key, value });
      size += length;
    }
    if (pending.length > 0 || children.length === 0) children.push(this.#leaf(pending));
    const header = Buffer.alloc(16);
    header.writeBigUInt64LE(BigInt(yield* this.#tree(children)), 0);
    this.#buckets.push({ flags: bucketElement, key: Buffer.from(name), value: header });
  }

  /** Brings to the file what has gathered. */
  async written(): Promise<void> {
    const pages = this.#pending;
    const at = this.#nextPage * pageBytes - this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (pages.length > 0) await this.#put(Buffer.concat(pages), at);
  }

  async #put(bytes: Buffer, at: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
  }

  /** Writes the list of buckets and the meta pages; the file is complete afterwards. Returns its size. */
  async finish(transaction: number): Promise<number> {
    this.#buckets.sort((a, b) => Buffer.compare(a.key, b.key));
    const root = this.#leaf(this.#buckets).page;
    await this.written();
    const freelist = Buffer.alloc(pageBytes);
    writeHeader(freelist, 2, flag.freelist, 0, 0);
    await this.#put(freelist, 2 * pageBytes);
    for (const page of [0, 1]) {
      const buffer = Buffer.alloc(pageBytes);
      writeHeader(buffer, page, flag.meta, 0, 0);
      const meta = buffer.subarray(pageHeaderBytes);
      meta.writeUInt32LE(magic, 0);
      meta.writeUInt32LE(version, 4);
      meta.writeUInt32LE(pageBytes, 8);
      meta.writeBigUInt64LE(BigInt(root), 16);
      meta.writeBigUInt64LE(2n, 32);
      meta.writeBigUInt64LE(BigInt(this.#nextPage), 40);
      meta.writeBigUInt64LE(BigInt(transaction + page), 48);
      meta.writeBigUInt64LE(fnv1a64(meta.subarray(0, 56)), 56);
      await this.#put(buffer, page * pageBytes);
    }
    await this.#file.close();
    return this.#nextPage * pageBytes;
  }

  /** Ends without a usable file. */
  async abort(): Promise<void> {
    await this.#file.close();
  }

  #leaf(elements: readonly Element[]): Child {
    const body = elements.reduce(
      (sum, { key, value }) => sum + elementBytes + key.length + value.length,
      pageHeaderBytes as number,
    );
    const { buffer, page } = this.#allocate(body, flag.leaf, elements.length);
    let data = pageHeaderBytes + elements.length * elementBytes;
    elements.forEach(({ flags, key, value }, index) => {
      const at = pageHeaderBytes + index * elementBytes;
      buffer.writeUInt32LE(flags, at);
      buffer.writeUInt32LE(data - at, at + 4);
      buffer.writeUInt32LE(key.length, at + 8);
      buffer.writeUInt32LE(value.length, at + 12);
      buffer.set(key, data);
      buffer.set(value, data + key.length);
      data += key.length + value.length;
    });
    return { firstKey: elements[0]?.key ?? new Uint8Array(0), page };
  }

  /** Branch pages above `children` up to one root; returns the root's page. */
  *#tree(children: readonly Child[]): Generator<void, number> {
    let level = children;
    while (level.length > 1) {
      const parents: Child[] = [];
      for (let start = 0; start < level.length;) {
        let size = pageHeaderBytes;
        let stop = start;
        while (stop < level.length) {
          size += elementBytes + (level[stop] as Child).firstKey.length;
          if (size > pageBytes && stop - start >= 2) break;
          stop++;
        }
        parents.push(this.#branch(level.slice(start, stop)));
        start = stop;
        if (parents.length % 8 === 0) yield;
      }
      level = parents;
    }
    return (level[0] as Child).page;
  }

  #branch(children: readonly Child[]): Child {
    const body = children.reduce(
      (sum, { firstKey }) => sum + elementBytes + firstKey.length,
      pageHeaderBytes as number,
    );
    const { buffer, page } = this.#allocate(body, flag.branch, children.length);
    let data = pageHeaderBytes + children.length * elementBytes;
    children.forEach(({ firstKey, page: child }, index) => {
      const at = pageHeaderBytes + index * elementBytes;
      buffer.writeUInt32LE(data - at, at);
      buffer.writeUInt32LE(firstKey.length, at + 4);
      buffer.writeBigUInt64LE(BigInt(child), at + 8);
      buffer.set(firstKey, data);
      data += firstKey.length;
    });
    return { firstKey: (children[0] as Child).firstKey, page };
  }

  #allocate(bytes: number, flags: number, count: number): { buffer: Buffer; page: number } {
    const pages = Math.ceil(bytes / pageBytes);
    const buffer = Buffer.alloc(pages * pageBytes);
    const page = this.#nextPage;
    this.#nextPage += pages;
    writeHeader(buffer, page, flags, count, pages - 1);
    this.#pending.push(buffer);
    this.#pendingBytes += buffer.length;
    return { buffer, page };
  }
}

function writeHeader(buffer: Buffer, page: number, flags: number, count: number, overflow: number): void {
  buffer.writeBigUInt64LE(BigInt(page), 0);
  buffer.writeUInt16LE(flags, 8);
  buffer.writeUInt16LE(count, 10);
  buffer.writeUInt32LE(overflow, 12);
}
