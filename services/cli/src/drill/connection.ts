import type { Clock } from '@pilothouse/base';
import type { ClusterAccess, RenewableTransport, Transport } from '@pilothouse/client';
import { createHttp2Transport, TransportError } from '@pilothouse/client';

/** An answer that is not a success. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(`HTTP ${status}: ${text.slice(0, 200)}`);
    this.status = status;
  }
}

export interface KubeLike {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/**
 * One client of the load: one connection, one try a call, so that every failure is seen; only what was never sent, since the connection was being
 * ended, goes over the next connection at once, as HTTP/2 libraries do by themselves. A call that gets no answer in time gives its connection up;
 * the next one goes through the balancer to whoever is ready.
 */
export class Connection {
  readonly #access: () => ClusterAccess;
  readonly #clock: Clock;
  readonly #timeoutMs: () => number;
  #transport: RenewableTransport;
  #inUse: ClusterAccess;

  /** `access` is asked before each call: authorities may change. */
  constructor(access: () => ClusterAccess, clock: Clock, timeoutMs: () => number) {
    this.#access = access;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#inUse = access();
    this.#transport = createHttp2Transport(this.#inUse, clock);
  }

  async call<T>(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    timeoutMs = this.#timeoutMs(),
  ): Promise<T> {
    const { status, text } = await this.#exchange(method, path, body, timeoutMs).catch((error: unknown) => {
      if (!(error instanceof TransportError) || error.sent) throw error;
      return this.#exchange(method, path, body, timeoutMs);
    });
    if (status >= 400) throw new Refused(status, text);
    return JSON.parse(text) as T;
  }

  async #exchange(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    timeoutMs: number,
  ): Promise<{ status: number; text: string }> {
    const transport = this.#current();
    const abort = new AbortController();
    const timer = this.#clock.setTimeout(() => abort.abort(), timeoutMs);
    try {
      const response = await transport.request({
        method,
        path,
        timeoutMs,
        signal: abort.signal,
        headers: {
          accept: 'application/json',
          'user-agent': 'pilothouse-drill',
          ...(body === undefined
            ? {}
            : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const pieces: Uint8Array[] = [];
      for await (const piece of response.body) pieces.push(piece);
      return { status: response.status, text: Buffer.concat(pieces).toString('utf8') };
    } catch (error) {
      this.renew(transport);
      throw error instanceof Error ? error : new TransportError('No answer', { sent: true });
    } finally {
      timer.cancel();
    }
  }

  /** Lines of a watch until it ends or breaks. */
  async *lines(
    path: string,
    signal: AbortSignal,
  ): AsyncGenerator<{ type: string; object: KubeLike & { code?: number } }> {
    const transport = this.#current();
    try {
      const response = await transport.request({
        method: 'GET',
        path,
        signal,
        timeoutMs: this.#timeoutMs(),
        headers: { accept: 'application/json', 'user-agent': 'pilothouse-drill' },
      });
      if (response.status !== 200) {
        let text = '';
        for await (const piece of response.body) text += Buffer.from(piece).toString('utf8');
        throw new Refused(response.status, text);
      }
      let rest: Buffer = Buffer.alloc(0);
      for await (const piece of response.body) {
        rest = Buffer.concat([rest, piece]);
        for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
          const line = rest.subarray(0, end).toString('utf8');
          rest = rest.subarray(end + 1);
          if (line !== '') yield JSON.parse(line) as { type: string; object: KubeLike };
        }
      }
    } finally {
      this.renew(transport);
    }
  }

  /** The next call opens a new connection. */
  renew(old: Transport = this.#transport): void {
    old.close();
    if (old !== this.#transport) return;
    this.#inUse = this.#access();
    this.#transport = createHttp2Transport(this.#inUse, this.#clock);
  }

  #current(): Transport {
    const access = this.#access();
    if (access !== this.#inUse) this.#transport.use((this.#inUse = access));
    return this.#transport;
  }

  close(): void {
    this.#transport.close();
  }
}
