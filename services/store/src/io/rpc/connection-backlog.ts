import type { ServerConnection } from '@pilothouse/http2';

/** Smaller answers and requests are not counted: there would have to be very many. */
const countedBytesMin = 4096;
/** With this much in answers that a connection has not taken, its next requests wait. One answer may be larger. */
const answerBytesMax = 64 * 1024 * 1024;
/** Of requests that are not complete, a connection may have this much. */
const requestBytesMax = 64 * 1024 * 1024;

/** What one connection has been sent and has not taken yet, and what it has sent of requests, so that a bad client holds a bounded amount of memory. */
export class ConnectionBacklog {
  static readonly #all = new WeakMap<ServerConnection, ConnectionBacklog>();
  #answerBytes = 0;
  #requestBytes = 0;
  readonly #waiting = new Set<() => void>();

  static of(connection: ServerConnection): ConnectionBacklog {
    let backlog = ConnectionBacklog.#all.get(connection);
    if (backlog === undefined) {
      backlog = new ConnectionBacklog();
      ConnectionBacklog.#all.set(connection, backlog);
    }
    return backlog;
  }

  /** The connection's requests have to wait. */
  static isFull(connection: ServerConnection): boolean {
    const backlog = ConnectionBacklog.#all.get(connection);
    return backlog !== undefined && backlog.#answerBytes >= answerBytesMax;
  }

  /** Counts an answer. Gives what is to be given to {@link sent} when its stream is over. */
  static add(connection: ServerConnection, bytes: number): number {
    if (bytes < countedBytesMin) return 0;
    ConnectionBacklog.of(connection).#answerBytes += bytes;
    return bytes;
  }

  sent(bytes: number): void {
    this.#answerBytes -= bytes;
    while (this.#answerBytes < answerBytesMax && this.#waiting.size > 0) {
      const [next] = this.#waiting;
      this.#waiting.delete(next as () => void);
      next?.();
    }
  }

  /** Calls `resume` when there is room again. Gives what takes it out of the line. */
  wait(resume: () => void): () => void {
    this.#waiting.add(resume);
    return () => void this.#waiting.delete(resume);
  }

  /** Counts a part of a request that is not complete. False: too much. */
  hold(bytes: number): boolean {
    this.#requestBytes += bytes;
    return this.#requestBytes <= requestBytesMax;
  }

  release(bytes: number): void {
    this.#requestBytes -= bytes;
  }
}
