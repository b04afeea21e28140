import { BareHttp2, requestHead } from './bare-http2.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export interface ApiClientOptions {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly connections: number;
  /** See {@link BareHttp2}: a small one makes watchers that do not read. */
  readonly streamWindowBytes?: number;
}

const headsKept = 20_000;

/**
 * Calls of an API server with a client certificate: bodies are bytes and stay unparsed, so that its own work, the same for both
 * sides, weighs little.
 */
export class ApiClient {
  readonly #connections: readonly BareHttp2[];
  readonly #heads = new Map<string, Buffer>();
  #turn = 0;

  private constructor(connections: readonly BareHttp2[]) {
    this.#connections = connections;
  }

  static async connect(options: ApiClientOptions): Promise<ApiClient> {
    return new ApiClient(
      await Promise.all(Array.from({ length: options.connections }, () => BareHttp2.connect(options))),
    );
  }

  /** One call; any status is an answer. `keepBody` false: the body is counted and dropped. */
  call(
    method: string,
    path: string,
    body?: Buffer,
    options: { readonly contentType?: string; readonly accept?: string; readonly keepBody?: boolean } = {},
  ): Promise<ApiAnswer> {
    const { contentType = 'application/json', accept = 'application/json', keepBody = true } = options;
    const headers = {
      accept,
      'user-agent': 'pilothouse-bench',
      ...(body === undefined ? {} : { 'content-type': contentType }),
    };
    return new Promise((resolve, reject) => {
      let status = 0;
      const pieces: Buffer[] = [];
      this.#connection().open(this.#head(method, path, headers), body, {
        onHeaders: (code) => (status = code),
        onData(piece) {
          // What was not asked for is only kept when it tells of an error.
          if (keepBody || status >= 300) pieces.push(Buffer.from(piece));
        },
        onEnd(error) {
          if (error) reject(new Error(`${method} ${path}: ${error.message}`));
          else resolve({ status, body: pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces) });
        },
      });
    });
  }

  /** One call that must be answered with `status`; returns the body. Waits and tries again after a 429. */
  async expect(
    status: number,
    method: string,
    path: string,
    body?: Buffer,
    options?: Parameters<ApiClient['call']>[3],
  ): Promise<Buffer> {
    for (;;) {
      const answer = await this.call(method, path, body, options);
      if (answer.status === status) return answer.body;
      if (answer.status !== 429)
        throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString().slice(0, 300)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Calls `onData` with the bytes of a watch, as they come, until the returned function is called. Resolves when the answer has begun. */
  watch(path: string, onData: (piece: Buffer) => void): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const connection = this.#connection();
      const head = requestHead('GET', path, { accept: 'application/json', 'user-agent': 'pilothouse-bench' });
      const id = connection.open(head, undefined, {
        onHeaders(status) {
          if (status === 200) resolve(() => connection.reset(id));
          else reject(new Error(`watch ${path}: ${status}`));
        },
        onData,
        onEnd: (error) => reject(error ?? new Error(`watch ${path}: it ended at once`)),
      });
    });
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #connection(): BareHttp2 {
    return this.#connections[this.#turn++ % this.#connections.length] as BareHttp2;
  }

  #head(method: string, path: string, headers: Readonly<Record<string, string>>): Buffer {
    const key = `${method} ${path} ${headers['accept']} ${headers['content-type'] ?? ''}`;
    let head = this.#heads.get(key);
    if (head === undefined) {
      head = requestHead(method, path, headers);
      if (this.#heads.size < headsKept) this.#heads.set(key, head);
    }
    return head;
  }
}
