/** One entry of a container's log file: `TIME STREAM TAG TEXT`, as the container runtimes of the field write it. */
export interface LogEntry {
  /** RFC 3339 with nanoseconds, UTC. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** False: the line goes on in the next entry of the stream. */
  readonly complete: boolean;
  readonly text: Buffer;
}

/** Longest text of an entry; longer lines become several. */
export const entryBytesMax = 16 * 1024;

export function formatEntry(entry: LogEntry): Buffer {
  return Buffer.concat([
    Buffer.from(`${entry.time} ${entry.stream} ${entry.complete ? 'F' : 'P'} `),
    entry.text,
    Buffer.from('\n'),
  ]);
}

/** Undefined for a line that is none, e.g. one cut off by a crash. `line` has no line end. */
export function parseEntry(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(0x20);
  if (first < 0) return undefined;
  const second = line.indexOf(0x20, first + 1);
  if (second < 0) return undefined;
  const third = line.indexOf(0x20, second + 1);
  if (third < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const time = line.toString('latin1', 0, first);
  if (!/^\d{4}-\d\d-\d\dT/.test(time)) return undefined;
  return {
    time,
    stream,
    complete: line[second + 1] === 0x46,
    text: line.subarray(third + 1),
  };
}

/** Cuts a stream of output into entries: whole lines, pieces of long ones, and what is left at the end. */
export class LineCutter {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): { text: Buffer; complete: boolean }[] {
    let data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const lines: { text: Buffer; complete: boolean }[] = [];
    for (;;) {
      const end = data.indexOf(0x0a);
      if (end >= 0 && end <= entryBytesMax) {
        lines.push({ text: data.subarray(0, end), complete: true });
        data = data.subarray(end + 1);
      } else if (data.length > entryBytesMax) {
        lines.push({ text: data.subarray(0, entryBytesMax), complete: false });
        data = data.subarray(entryBytesMax);
      } else break;
    }
    this.#rest = Buffer.from(data);
    return lines;
  }

  /** What came after the last line end; nothing may follow. */
  finish(): { text: Buffer; complete: boolean }[] {
    const text = this.#rest;
    this.#rest = Buffer.alloc(0);
    return text.length === 0 ? [] : [{ text, complete: false }];
  }
}
