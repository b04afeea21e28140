import fs from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';

/** How log files are rotated, as etcd's `--log-rotation-config-json` has it. */
export interface LogRotation {
  /** A file that would become larger is renamed, and another one begun. */
  readonly bytesMax: number;
  /** Renamed files older than this are removed; 0: none for their age. */
  readonly ageMaxMs: number;
  /** So many renamed files are kept; 0: all. */
  readonly backupsMax: number;
  /** Names have local time instead of UTC. */
  readonly isLocalTime: boolean;
  readonly isCompressed: boolean;
}

const stampLength = '2006-01-02T15-04-05.000'.length;

/** A file that lines are appended to, rotated by its size. Names of the old ones are `name-2006-01-02T15-04-05.000.ext`, as those of etcd. */
export class RotatingFile {
  readonly #path: string;
  readonly #rotation: LogRotation;
  readonly #now: () => number;
  #descriptor: number;
  #size: number;
  /** Compressing and removing, one after the other. */
  #tidied: Promise<void> = Promise.resolve();

  /** Opens or makes the file. `now`: Unix time, milliseconds. */
  constructor(file: string, rotation: LogRotation, now: () => number) {
    this.#path = file;
    this.#rotation = rotation;
    this.#now = now;
    this.#descriptor = fs.openSync(file, 'a', 0o600);
    this.#size = fs.fstatSync(this.#descriptor).size;
    this.#tidy();
  }

  /** Appends at once. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#size > 0 && this.#size + bytes > this.#rotation.bytesMax) this.#rotate();
    fs.writeSync(this.#descriptor, line);
    this.#size += bytes;
  }

  /** Resolves when old files are compressed and removed. */
  get tidied(): Promise<void> {
    return this.#tidied;
  }

  #rotate(): void {
    fs.closeSync(this.#descriptor);
    fs.renameSync(this.#path, this.#oldName(this.#now()));
    this.#descriptor = fs.openSync(this.#path, 'a', 0o600);
    this.#size = 0;
    this.#tidy();
  }

  #oldName(time: number): string {
    const { dir, name, ext } = path.parse(this.#path);
    const at = this.#rotation.isLocalTime ? time - new Date(time).getTimezoneOffset() * 60_000 : time;
    const stamp = new Date(at).toISOString().slice(0, stampLength).replaceAll(':', '-');
    const file = path.join(dir, `${name}-${stamp}${ext}`);
    return fs.existsSync(file) ? this.#oldName(time + 1) : file;
  }

  #tidy(): void {
    this.#tidied = this.#tidied.then(() => this.#tidyNow()).catch(() => {});
  }

  async #tidyNow(): Promise<void> {
    const { dir, name, ext } = path.parse(path.resolve(this.#path));
    const { backupsMax, ageMaxMs, isCompressed, isLocalTime } = this.#rotation;
    const old: { readonly file: string; readonly at: number }[] = [];
    for (const file of await fs.promises.readdir(dir)) {
      const stamp = file.slice(name.length + 1, name.length + 1 + stampLength);
      const rest = file.slice(name.length + 1 + stampLength);
      if (!file.startsWith(`${name}-`) || (rest !== ext && rest !== `${ext}.gz`)) continue;
      const text = `${stamp.slice(0, 11)}${stamp.slice(11).replaceAll('-', ':')}`;
      const at = Date.parse(isLocalTime ? text : `${text}Z`);
      if (!Number.isNaN(at)) old.push({ file: path.join(dir, file), at });
    }
    old.sort((a, b) => b.at - a.at);
    const oldest = ageMaxMs === 0 ? -Infinity : this.#now() - ageMaxMs;
    for (const [index, { file, at }] of old.entries()) {
      if ((backupsMax > 0 && index >= backupsMax) || at < oldest) await fs.promises.rm(file, { force: true });
      else if (isCompressed && !file.endsWith('.gz')) await compress(file);
    }
  }
}

async function compress(file: string): Promise<void> {
  await pipeline(
    fs.createReadStream(file),
    zlib.createGzip(),
    fs.createWriteStream(`${file}.gz`, { mode: 0o600 }),
  );
  await fs.promises.rm(file, { force: true });
}
