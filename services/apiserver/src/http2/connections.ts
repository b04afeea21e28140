import type { Duplex } from 'node:stream';
import type { Clock } from '@pilothouse/base';
import type { ServerConnection } from '@pilothouse/http2';
import { serveSocket } from '@pilothouse/http2';
import { limits } from '../limits.ts';
import type { RequestHandler } from '../http-server.ts';
import { http2Exchange } from './exchange-ends.ts';

/** The connections of clients that speak HTTP/2. */
export class Http2Connections {
  readonly #handler: RequestHandler;
  readonly #clock: Clock;
  readonly #streamsMax: number;
  readonly #open = new Map<ServerConnection, Duplex>();
  #whenNone: (() => void)[] = [];

  /** `streamsMax`: requests that a client may have open on a connection. */
  constructor(handler: RequestHandler, clock: Clock, streamsMax: number = limits.concurrentStreamsMax) {
    this.#handler = handler;
    this.#clock = clock;
    this.#streamsMax = streamsMax;
  }

  accept(socket: Duplex): void {
    const clock = this.#clock;
    const handler = this.#handler;
    const now = (): number => clock.now();
    const connection = serveSocket(socket, {
      monotonic: () => clock.monotonic(),
      after: (delayMs, callback) => clock.setTimeout(callback, delayMs),
      concurrentStreamsMax: this.#streamsMax,
      headerListBytesMax: limits.headerBytesMax,
      headTimeoutMs: limits.headersMs,
      onRequest(stream, headers) {
        const { request, response } = http2Exchange(stream, headers, now);
        handler(request, response);
      },
      onClose: () => {
        this.#open.delete(connection);
        if (this.#open.size === 0) for (const resolve of this.#whenNone.splice(0)) resolve();
      },
    });
    this.#open.set(connection, socket);
  }

  /** Ends the connections that owe the rest of a head for too long. To be called now and then. */
  tick(): void {
    for (const connection of this.#open.keys()) connection.tick();
  }

  /**
   * Sends the clients elsewhere: what they sent before is still answered, then the connections end. What they send before they hear of it is
   * read and passed over.
   */
  shutdown(): void {
    for (const connection of [...this.#open.keys()]) connection.shutdown();
  }

  /** Resolves when no connection is open. */
  gone(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenNone.push(resolve));
  }

  destroy(): void {
    for (const socket of this.#open.values()) socket.destroy();
  }
}
