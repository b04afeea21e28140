import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { BackupError } from './bbolt-reader.ts';

const digestBytes = 32;
const pieceBytes = 1024 * 1024;

/** Told how many of all bytes are done. */
export type OnProgress = (done: number, total: number) => void;

/**
 * The database file behind a path: a backup as `pilothouse backup` or `etcdctl snapshot save` write it (a database and the SHA-256 of it),
 * a bare database, or a data directory of etcd's. Checks the checksum. Throws {@link BackupError}.
 */
export async function openSnapshot(
  source: string,
  options: { readonly skipHashCheck: boolean; readonly onProgress?: OnProgress },
): Promise<string> {
  let status: fs.Stats;
  try {
    status = fs.statSync(source);
  } catch (error) {
    throw new BackupError('unreadable', `Cannot read "${source}": ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (status.isDirectory()) return databaseOf(source);
  if (status.size % 512 !== digestBytes) {
    if (options.skipHashCheck) return source;
    throw new BackupError(
      'refused',
      `"${source}" has no checksum at its end: it is a bare database or was cut short (${status.size} bytes). Pass --skip-hash-check if it is a copy of a database`,
    );
  }
  if (options.skipHashCheck) return source;
  const digest = createHash('sha256');
  const descriptor = fs.openSync(source, 'r');
  try {
    const end = status.size - digestBytes;
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (let offset = 0; offset < end;) {
      const length = fs.readSync(descriptor, piece, 0, Math.min(pieceBytes, end - offset), offset);
      if (length === 0) break;
      digest.update(piece.subarray(0, length));
      offset += length;
      options.onProgress?.(offset, end);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const wanted = Buffer.alloc(digestBytes);
    fs.readSync(descriptor, wanted, 0, digestBytes, end);
    const found = digest.digest();
    if (!found.equals(wanted)) {
      throw new BackupError(
        'damaged',
        `"${source}" is damaged: expected sha256 ${wanted.toString('hex')}, got ${found.toString('hex')}. Use another backup`,
      );
    }
  } finally {
    fs.closeSync(descriptor);
  }
  return source;
}

function databaseOf(directory: string): string {
  const [file] = ['member/snap/db', 'snap/db', 'db']
    .map((name) => path.join(directory, name))
    .filter((name) => fs.existsSync(name));
  if (file !== undefined) return file;
  const isOurs = fs.existsSync(path.join(directory, 'member', 'identity.json'));
  throw new BackupError(
    'refused',
    isOurs
      ? `"${directory}" is a data directory, not a backup. Start its member and take a backup of it with: pilothouse backup`
      : `"${directory}" holds no database: want a backup file, or a data directory of etcd with member/snap/db`,
  );
}
