import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { Clock } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import type { LogEntry } from '../../core/process/log-line.ts';
import { parseEntry } from '../../core/process/log-line.ts';
import type { LogQuery } from '../../core/process/log-query.ts';
import { LogRenderer } from '../../core/process/log-query.ts';

const chunkBytes = 64 * 1024;
const followPollMs = 100;

/** Reads whole entries of one file from where it stands; told again later it goes on. */
class EntryReader {
  readonly inode: number;
  readonly #fd: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string) {
    this.#fd = openSync(file, 'r');
    this.inode = fstatSync(this.#fd).ino;
  }

  *read(): Generator<LogEntry> {
    const chunk = Buffer.alloc(chunkBytes);
    for (;;) {
      const count = readSync(this.#fd, chunk, 0, chunk.length, null);
      if (count === 0) return;
      let data = Buffer.concat([this.#rest, chunk.subarray(0, count)]);
      for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a)) {
        const entry = parseEntry(data.subarray(0, end));
        data = data.subarray(end + 1);
        if (entry) yield entry;
      }
      this.#rest = Buffer.from(data);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** A log's files, the oldest first. */
function filesOf(logFile: string): string[] {
  const files: string[] = [];
  for (let index = 1; existsSync(`${logFile}.${index}`); index++) files.unshift(`${logFile}.${index}`);
  if (existsSync(logFile)) files.push(logFile);
  return files;
}

function* entriesOf(files: readonly string[]): Generator<LogEntry> {
  for (const file of files) {
    const reader = new EntryReader(file);
    try {
      yield* reader.read();
    } finally {
      reader.close();
    }
  }
}

/** Sends a container's log. `isRunning` tells a follower whether more may come. */
export async function sendLog(
  logFile: string,
  query: LogQuery,
  response: ServerResponse,
  clock: Clock,
  isRunning: () => boolean,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  const renderer = new LogRenderer(query);
  let gone = false;
  response.once('close', () => (gone = true));
  const send = async (bytes: Buffer): Promise<void> => {
    if (bytes.length === 0 || response.write(bytes)) return;
    await new Promise<void>((resolve) => {
      response.once('drain', resolve);
      response.once('close', resolve);
    });
  };
  const matches = (entry: LogEntry): boolean =>
    query.streams.includes(entry.stream) &&
    (query.sinceMs === undefined || Date.parse(entry.time) >= query.sinceMs);
  const files = filesOf(logFile);
  let skip = 0;
  if (query.tailLines !== undefined) {
    let lines = 0;
    let open = false;
    for (const entry of entriesOf(files)) {
      if (!matches(entry)) continue;
      if (entry.complete) lines++;
      open = !entry.complete;
    }
    skip = Math.max(0, lines + (open ? 1 : 0) - query.tailLines);
  }
  const take = async (entry: LogEntry): Promise<void> => {
    if (skip > 0) {
      if (matches(entry) && entry.complete) skip--;
      return;
    }
    await send(renderer.render(entry));
  };
  for (const entry of entriesOf(files.slice(0, -1))) {
    if (gone || renderer.exhausted) break;
    await take(entry);
  }
  let reader = files.length === 0 ? undefined : new EntryReader(files.at(-1) as string);
  for (;;) {
    // Asked before reading: what was written until the end is then read below.
    const more = query.follow && isRunning();
    for (const entry of reader?.read() ?? []) {
      if (gone || renderer.exhausted) break;
      await take(entry);
    }
    if (gone || renderer.exhausted || !more) break;
    const inode = existsSync(logFile) ? statSync(logFile).ino : undefined;
    if (inode !== undefined && inode !== reader?.inode) {
      for (const entry of reader?.read() ?? []) await take(entry);
      reader?.close();
      reader = new EntryReader(logFile);
      continue;
    }
    await sleep(clock, followPollMs);
  }
  reader?.close();
  response.end();
}
