import type { Http2Session, ServerHttp2Stream } from 'node:http2';

/** Smaller answers are not counted: the HTTP/2 library bounds what many of them hold. */
const countedBytesMin = 4096;
/** With this much in answers that a connection has not taken, its next requests wait. One answer may be larger. */
const backlogBytesMax = 64 * 1024 * 1024;

interface Backlog {
  bytes: number;
  readonly waiting: Set<() => void>;
}

/** What each connection has been sent and has not taken yet, so that a client that never reads holds a bounded amount of memory. */
export class SessionBacklog {
  readonly #sessions = new WeakMap<Http2Session, Backlog>();

  /** Counts an answer until its stream is closed. */
  add(stream: ServerHttp2Stream, bytes: number): void {
    const { session } = stream;
    if (bytes < countedBytesMin || session === undefined || stream.destroyed) return;
    const backlog = this.#sessions.get(session) ?? { bytes: 0, waiting: new Set() };
    this.#sessions.set(session, backlog);
    backlog.bytes += bytes;
    stream.on('close', () => {
      backlog.bytes -= bytes;
      while (backlog.bytes < backlogBytesMax && backlog.waiting.size > 0) {
        const [next] = backlog.waiting;
        backlog.waiting.delete(next as () => void);
        next?.();
      }
    });
  }

  isFull(stream: ServerHttp2Stream): boolean {
    const { session } = stream;
    return session !== undefined && (this.#sessions.get(session)?.bytes ?? 0) >= backlogBytesMax;
  }

  /** Calls `resume` when there is room again; never when the stream is closed before. */
  wait(stream: ServerHttp2Stream, resume: () => void): void {
    const backlog = stream.session === undefined ? undefined : this.#sessions.get(stream.session);
    if (backlog === undefined) return;
    const leave = (): void => void backlog.waiting.delete(wake);
    const wake = (): void => {
      stream.off('close', leave);
      resume();
    };
    backlog.waiting.add(wake);
    stream.on('close', leave);
  }
}
