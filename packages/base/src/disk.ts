/**
 * An open file of a {@link Disk}. Calls are synchronous on purpose: durable writers run in a thread of their own,
 * and a simulated disk must not yield between a write and its fault.
 */
export interface DiskFile {
  /** Reads up to `length` bytes at `offset`; fewer are returned only at the end of the file. */
  read(offset: number, length: number): Uint8Array;
  /** Writes all of `bytes` at `offset`. The bytes are durable only after {@link DiskFile.sync}. */
  write(offset: number, bytes: Uint8Array): void;
  /** Makes every finished write durable (fdatasync). Throws when the device reports an error. */
  sync(): void;
  /** The same for a thread that must not wait: rejects where `sync` throws. */
  syncInBackground(): Promise<void>;
  truncate(length: number): void;
  /** Size in bytes. */
  size(): number;
  close(): void;
}

/** The part of a file system that durable state needs. Paths are absolute, separated by `/`. */
export interface Disk {
  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile;
  exists(path: string): boolean;
  /** Names in a directory, sorted. */
  list(directory: string): string[];
  makeDirectory(path: string): void;
  /** Replaces `to` atomically. Durable only after {@link Disk.syncDirectory} of the directory. */
  rename(from: string, to: string): void;
  /** The name is gone at once; the room of a large file comes back soon after. */
  remove(path: string): void;
  syncDirectory(path: string): void;
}
