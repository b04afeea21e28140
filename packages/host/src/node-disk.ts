import fs from 'node:fs';
import type { Disk, DiskFile } from '@pilothouse/base';

class NodeDiskFile implements DiskFile {
  readonly #descriptor: number;
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }
  read(offset: number, length: number): Uint8Array {
    const buffer = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const count = fs.readSync(this.#descriptor, buffer, done, length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return buffer.subarray(0, done);
  }
  write(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      done += fs.writeSync(this.#descriptor, bytes, done, bytes.length - done, offset + done);
    }
  }
  sync(): void {
    fs.fdatasyncSync(this.#descriptor);
  }
  syncInBackground(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#descriptor, (error) => (error === null ? resolve() : reject(error)));
    });
  }
  truncate(length: number): void {
    fs.ftruncateSync(this.#descriptor, length);
  }
  size(): number {
    return fs.fstatSync(this.#descriptor).size;
  }
  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

/**
 * Removes a file's name and has its pages and blocks given back by a thread of Node's pool: the system does that when the last descriptor is closed,
 * which takes tenths of a second for some hundred MB. Throws as `fs.rmSync` does.
 */
export function removeLarge(path: string): void {
  const descriptor = fs.openSync(path, 'r');
  try {
    fs.rmSync(path);
  } finally {
    fs.close(descriptor, () => {});
  }
}

/** The file system through synchronous calls; meant for a thread that may block. Files are made with mode 0600. */
export const nodeDisk: Disk = {
  open(path, mode) {
    const flags = mode === 'read' ? 'r' : mode === 'write' ? 'r+' : 'wx+';
    return new NodeDiskFile(fs.openSync(path, flags, 0o600));
  },
  exists: (path) => fs.existsSync(path),
  list: (directory) => fs.readdirSync(directory).sort(),
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
  rename: (from, to) => fs.renameSync(from, to),
  remove(path) {
    removeLarge(path);
  },
  syncDirectory(path) {
    const descriptor = fs.openSync(path, 'r');
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  },
};
