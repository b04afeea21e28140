import { createReadStream, createWriteStream } from 'node:fs';
import fs from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';

export interface RotationOptions {
  /** A new file begins before this many bytes are passed; 0: never. */
  readonly bytesMax: number;
  /** Older files than this are removed, milliseconds; 0: none for their age. */
  readonly ageMsMax: number;
  /** Files kept besides the present one; 0: all. */
  readonly backupsMax: number;
  /** Old files are packed with gzip. */
  readonly compress: boolean;
}

const dayMs = 24 * 3_600_000;
const backupTime = /-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})(\.[^.]*)?(\.gz)?$/;

/**
 * A file that is appended to, and renamed to `name-2026-01-31T10-20-30.000.ext` when it has become large. Old ones are packed and removed.
 * Writes are synchronous: a line is in the kernel before its request goes on.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #rotation: RotationOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #file: number | undefined;
  #bytes = 0;
  #tidying: Promise<void> | undefined;

  constructor(file: string, rotation: RotationOptions, options: { clock: Clock; logger: Logger }) {
    this.#path = file;
    this.#rotation = rotation;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  static age(days: number): number {
    return days * dayMs;
  }

  /** Throws what the file system throws. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    const { bytesMax } = this.#rotation;
    this.#file ??= this.#open();
    if (bytesMax > 0 && this.#bytes > 0 && this.#bytes + bytes.length > bytesMax) this.#rotate();
    fs.writeSync(this.#file, bytes);
    this.#bytes += bytes.length;
  }

  async close(): Promise<void> {
    if (this.#file !== undefined) fs.closeSync(this.#file);
    this.#file = undefined;
    await this.#tidying;
  }

  #open(): number {
    const file = fs.openSync(this.#path, 'a', 0o600);
    this.#bytes = fs.fstatSync(file).size;
    return file;
  }

  #rotate(): void {
    if (this.#file !== undefined) fs.closeSync(this.#file);
    this.#file = undefined;
    const time = new Date(this.#clock.now()).toISOString().slice(0, 23).replaceAll(':', '-');
    const { dir, name, ext } = path.parse(this.#path);
    const backup = path.join(dir, `${name}-${time}${ext}`);
    // Twice within a millisecond: the file goes on growing for that long.
    if (!fs.existsSync(backup)) fs.renameSync(this.#path, backup);
    this.#file = this.#open();
    this.#tidying = (this.#tidying ?? Promise.resolve())
      .then(() => this.#tidy())
      .catch((error: unknown) => {
        this.#logger.warn('Cannot tidy old audit logs', { path: this.#path, error: errorMessage(error) });
      });
  }

  async #tidy(): Promise<void> {
    const { dir, name, ext } = path.parse(this.#path);
    await mkdir(dir === '' ? '.' : dir, { recursive: true });
    const backups: { file: string; atMs: number }[] = [];
    for (const file of await readdir(dir === '' ? '.' : dir)) {
      const match = file.startsWith(`${name}-`) ? backupTime.exec(file) : null;
      if (!match || (match[2] ?? '') !== ext || file.slice(0, match.index) !== name) continue;
      const iso = (match[1] as string).replace(/T(\d\d)-(\d\d)-/, 'T$1:$2:');
      backups.push({ file: path.join(dir, file), atMs: Date.parse(`${iso}Z`) });
    }
    backups.sort((a, b) => b.atMs - a.atMs);
    const { backupsMax, ageMsMax, compress } = this.#rotation;
    for (const [index, { file, atMs }] of backups.entries()) {
      const tooMany = backupsMax > 0 && index >= backupsMax;
      const tooOld = ageMsMax > 0 && this.#clock.now() - atMs > ageMsMax;
      if (tooMany || tooOld) await rm(file, { force: true });
      else if (compress && !file.endsWith('.gz')) {
        await pipeline(
          createReadStream(file),
          createGzip(),
          createWriteStream(`${file}.gz`, { mode: 0o600 }),
        );
        await rm(file);
      }
    }
  }
}
