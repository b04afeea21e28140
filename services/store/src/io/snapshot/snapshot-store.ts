import { CodedError } from '@pilothouse/base';
import type { Disk, DiskFile } from '@pilothouse/base';
import type { LogIndex, Term } from '@pilothouse/raft';
import { crc32c } from '../../core/crc32c.ts';
import { observed, type SnapshotObserver } from '../replica/snapshot-observer.ts';

/** An image on disk that cannot be used. */
export class SnapshotError extends CodedError {
  constructor(message: string) {
    super('corrupt', message);
  }
}

// File: magic u32 | then frames: length u32 | crc32c u32 chained over all frames | bytes | … | end frame of length 0xffffffff, crc.
const magic = 0x50485331;
const endMark = 0xffffffff;
/** What waits for the disk at most while an image is written, so that making it durable in the end is no long stop. */
const unsyncedBytesMax = 8 * 1024 * 1024;
const chunkBytesMax = 64 * 1024 * 1024;
const pattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/;

const hex = (value: number): string => value.toString(16).padStart(16, '0');

/** Images of the state machine on disk, each complete and durable or not there at all. */
export class SnapshotStore {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #observer: SnapshotObserver | undefined;
  #counter = 0;

  constructor(disk: Disk, directory: string, observer?: SnapshotObserver) {
    this.#disk = disk;
    this.#observer = observer;
    this.#directory = directory;
    disk.makeDirectory(directory);
    for (const name of disk.list(directory)) if (name.endsWith('.tmp')) disk.remove(`${directory}/${name}`);
  }

  #path(index: number, term: number): string {
    return `${this.#directory}/${hex(index)}-${hex(term)}.snap`;
  }

  has(index: LogIndex, term: Term): boolean {
    return this.#disk.exists(this.#path(index, term));
  }

  /** Writes an image; durable under its name when the promise resolves. */
  async save(
    index: LogIndex,
    term: Term,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const temporary = `${this.#directory}/incoming-${++this.#counter}.tmp`;
    const file = this.#disk.open(temporary, 'create');
    const sync = (): Promise<void> => observed(this.#observer, 'sync', () => file.syncInBackground());
    let isDone = false;
    try {
      let offset = 0;
      let crc = 0;
      const head = new Uint8Array(8);
      const view = new DataView(head.buffer);
      view.setUint32(0, magic, true);
      file.write(0, head.subarray(0, 4));
      offset = 4;
      const put = (length: number, bytes: Uint8Array): void => {
        crc = crc32c(bytes, crc);
        view.setUint32(0, length, true);
        view.setUint32(4, crc, true);
        file.write(offset, head);
        file.write(offset + 8, bytes);
        offset += 8 + bytes.length;
      };
      let synced = 0;
      for await (const chunk of chunks) {
        if (chunk.length > 0) put(chunk.length, chunk);
        if (offset - synced < unsyncedBytesMax) continue;
        await sync();
        synced = offset;
      }
      put(endMark, new Uint8Array(0));
      await sync();
      isDone = true;
    } finally {
      file.close();
      if (!isDone && this.#disk.exists(temporary)) this.#disk.remove(temporary);
    }
    this.#disk.rename(temporary, this.#path(index, term));
    this.#disk.syncDirectory(this.#directory);
  }

  /** Reads an image back in its chunks. Throws {@link SnapshotError} where it is damaged. */
  *read(index: LogIndex, term: Term): Generator<Uint8Array> {
    const path = this.#path(index, term);
    const file: DiskFile = this.#disk.open(path, 'read');
    const damaged = (at: number): SnapshotError =>
      new SnapshotError(
        `Snapshot ${path} is damaged at offset ${at}. Remove this member from the cluster, empty its data directory and add it again`,
      );
    try {
      let offset = 4;
      let crc = 0;
      const head = file.read(0, 4);
      if (head.length < 4 || new DataView(head.buffer, head.byteOffset, 4).getUint32(0, true) !== magic)
        throw damaged(0);
      for (;;) {
        const frame = file.read(offset, 8);
        if (frame.length < 8) throw damaged(offset);
        const view = new DataView(frame.buffer, frame.byteOffset, 8);
        const length = view.getUint32(0, true);
        if (length === endMark) return;
        if (length > chunkBytesMax) throw damaged(offset);
        const bytes = file.read(offset + 8, length);
        crc = crc32c(bytes, crc);
        if (bytes.length < length || crc !== view.getUint32(4, true)) throw damaged(offset);
        yield bytes;
        offset += 8 + length;
      }
    } finally {
      file.close();
    }
  }

  /** Removes images older than `index`. */
  purge(index: LogIndex): void {
    for (const name of this.#disk.list(this.#directory)) {
      const match = pattern.exec(name);
      if (match && parseInt(match[1] as string, 16) < index) this.#disk.remove(`${this.#directory}/${name}`);
    }
  }
}
