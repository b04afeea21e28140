import { closeSync, existsSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { formatEntry } from '../../core/process/log-line.ts';
import type { LogEntry } from '../../core/process/log-line.ts';

/** A container's log: `FILE`, and `FILE.1` (newer) to `FILE.n` (older) once it has grown over its limit. */
export class RotatingLog {
  readonly #file: string;
  readonly #bytesMax: number;
  readonly #filesMax: number;
  #fd: number;
  #bytes: number;

  constructor(file: string, bytesMax: number, filesMax: number) {
    this.#file = file;
    this.#bytesMax = bytesMax;
    this.#filesMax = filesMax;
    this.#fd = openSync(file, 'a', 0o640);
    this.#bytes = fstatSync(this.#fd).size;
  }

  write(entry: LogEntry): void {
    const bytes = formatEntry(entry);
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#bytesMax) this.#rotate();
    writeSync(this.#fd, bytes);
    this.#bytes += bytes.length;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #rotate(): void {
    closeSync(this.#fd);
    const kept = this.#filesMax - 1;
    rmSync(`${this.#file}.${kept}`, { force: true });
    for (let index = kept - 1; index >= 1; index--) {
      if (existsSync(`${this.#file}.${index}`))
        renameSync(`${this.#file}.${index}`, `${this.#file}.${index + 1}`);
    }
    if (kept >= 1) renameSync(this.#file, `${this.#file}.1`);
    else rmSync(this.#file, { force: true });
    this.#fd = openSync(this.#file, 'a', 0o640);
    this.#bytes = 0;
  }
}
