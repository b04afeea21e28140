import type { LogEntry } from './log-line.ts';

/** Options of a log request (core/v1 PodLogOptions). */
export interface LogQuery {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly sinceMs: number | undefined;
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
  readonly streams: readonly ('stdout' | 'stderr')[];
}

/** Reads the query of `/containerLogs`. Throws Error with kubelet's words. */
export function parseLogQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    if (!/^-?\d+$/.test(text)) throw new Error('{"message": "Unable to decode query."}');
    return Number(text);
  };
  const flag = (name: string): boolean => {
    const text = query.get(name);
    return text !== null && text !== 'false' && text !== '0';
  };
  const tail = query.get('tail');
  const tailLines =
    tail !== null && tail !== '' ? (tail === 'all' ? undefined : number('tail')) : number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  const stream = query.get('stream') ?? 'All';
  if (
    (tailLines !== undefined && tailLines < 0) ||
    (limitBytes !== undefined && limitBytes < 1) ||
    (sinceSeconds !== undefined && sinceSeconds < 1) ||
    (sinceSeconds !== undefined && sinceTime !== null) ||
    !['All', 'Stdout', 'Stderr'].includes(stream)
  )
    throw new Error('{"message": "Invalid request."}');
  const since = sinceTime === null ? NaN : Date.parse(sinceTime);
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    sinceMs:
      sinceSeconds !== undefined ? nowMs - sinceSeconds * 1000 : Number.isNaN(since) ? undefined : since,
    tailLines,
    limitBytes,
    streams: stream === 'All' ? ['stdout', 'stderr'] : stream === 'Stdout' ? ['stdout'] : ['stderr'],
  };
}

/** Turns entries into the bytes a client gets; stateful, since a line may come in pieces and bytes are counted. */
export class LogRenderer {
  readonly #query: LogQuery;
  readonly #open = new Set<string>();
  #left: number;

  constructor(query: LogQuery) {
    this.#query = query;
    this.#left = query.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  get exhausted(): boolean {
    return this.#left <= 0;
  }

  render(entry: LogEntry): Buffer {
    const { streams, sinceMs, timestamps } = this.#query;
    if (!streams.includes(entry.stream) || this.exhausted) return Buffer.alloc(0);
    if (sinceMs !== undefined && Date.parse(entry.time) < sinceMs) return Buffer.alloc(0);
    const goesOn = this.#open.has(entry.stream);
    if (entry.complete) this.#open.delete(entry.stream);
    else this.#open.add(entry.stream);
    const bytes = Buffer.concat([
      Buffer.from(timestamps && !goesOn ? `${entry.time} ` : ''),
      entry.text,
      Buffer.from(entry.complete ? '\n' : ''),
    ]);
    const part = bytes.subarray(0, Math.max(0, this.#left));
    this.#left -= part.length;
    return part;
  }
}
