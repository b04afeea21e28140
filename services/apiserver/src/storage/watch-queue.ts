import type { WatchEvent, WatchStream } from '../registry/rest/rest-storage.ts';

/** What `next` waits with; shared by the watch streams. */
export abstract class WatchStreamBase implements WatchStream {
  abstract next(): Promise<readonly WatchEvent[] | undefined>;
  abstract close(): void;

  async *[Symbol.asyncIterator](): AsyncIterator<WatchEvent> {
    try {
      for (;;) {
        const batch = await this.next();
        if (batch === undefined) return;
        yield* batch;
      }
    } finally {
      this.close();
    }
  }
}

/** A watch stream fed by `push`. When `limit` events wait for a reader it ends: the client comes back at its last resourceVersion. */
export class WatchQueue extends WatchStreamBase {
  readonly #limit: number;
  readonly #onClose: () => void;
  #events: WatchEvent[] = [];
  #ended = false;
  #closed = false;
  #wake: ((events: readonly WatchEvent[] | undefined) => void) | undefined;

  constructor(limit: number, onClose: () => void) {
    super();
    this.#limit = limit;
    this.#onClose = onClose;
  }

  push(event: WatchEvent): void {
    if (this.#ended) return;
    if (this.#events.length >= this.#limit) {
      this.end();
      return;
    }
    this.#events.push(event);
    this.#flush();
  }

  /** No more events; what is queued can still be read. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.#flush();
  }

  next(): Promise<readonly WatchEvent[] | undefined> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#flush();
    });
  }

  close(): void {
    this.#events = [];
    this.end();
  }

  #release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
  }

  #flush(): void {
    const wake = this.#wake;
    if (wake === undefined) return;
    if (this.#events.length > 0) {
      const events = this.#events;
      this.#events = [];
      this.#wake = undefined;
      wake(events);
    } else if (this.#ended) {
      this.#wake = undefined;
      wake(undefined);
    }
  }
}

/** The same stream with each event put through `map`; events mapped to undefined are left out. */
export function mapWatchStream(
  stream: WatchStream,
  map: (event: WatchEvent) => WatchEvent | undefined,
): WatchStream {
  return new MappedWatchStream(stream, map);
}

class MappedWatchStream extends WatchStreamBase {
  readonly #stream: WatchStream;
  readonly #map: (event: WatchEvent) => WatchEvent | undefined;

  constructor(stream: WatchStream, map: (event: WatchEvent) => WatchEvent | undefined) {
    super();
    this.#stream = stream;
    this.#map = map;
  }

  async next(): Promise<readonly WatchEvent[] | undefined> {
    for (;;) {
      const batch = await this.#stream.next();
      if (batch === undefined) return undefined;
      const mapped: WatchEvent[] = [];
      for (const event of batch) {
        const result = this.#map(event);
        if (result !== undefined) mapped.push(result);
      }
      if (mapped.length > 0) return mapped;
    }
  }

  close(): void {
    this.#stream.close();
  }
}
