import http2 from 'node:http2';

export interface ApiAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export interface ApiClientOptions {
  readonly url: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly connections: number;
}

/**
 * The smallest HTTP/2 client with a client certificate: bodies are bytes and stay unparsed, so that its own work, the same for both
 * sides, weighs little.
 */
export class ApiClient {
  readonly #sessions: http2.ClientHttp2Session[] = [];
  #turn = 0;

  private constructor(sessions: http2.ClientHttp2Session[]) {
    this.#sessions = sessions;
  }

  static async connect(options: ApiClientOptions): Promise<ApiClient> {
    const { url, ca, cert, key } = options;
    const sessions = await Promise.all(
      Array.from(
        { length: options.connections },
        () =>
          new Promise<http2.ClientHttp2Session>((resolve, reject) => {
            const session = http2.connect(url, {
              ca,
              cert,
              key,
              settings: { initialWindowSize: 4 * 1024 * 1024 },
            });
            session.once('connect', () => {
              // Like client-go's: one list must not wait for window updates.
              session.setLocalWindowSize(16 * 1024 * 1024);
              resolve(session);
            });
            session.once('error', reject);
            session.on('error', () => undefined);
          }),
      ),
    );
    return new ApiClient(sessions);
  }

  #open(method: string, path: string, body?: Buffer): http2.ClientHttp2Stream {
    const session = this.#sessions[this.#turn++ % this.#sessions.length] as http2.ClientHttp2Session;
    const stream = session.request(
      {
        ':method': method,
        ':path': path,
        accept: 'application/json',
        'user-agent': 'pilothouse-bench',
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
      },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(body);
    return stream;
  }

  /** One call; any status is an answer. */
  call(method: string, path: string, body?: Buffer): Promise<ApiAnswer> {
    return new Promise((resolve, reject) => {
      const stream = this.#open(method, path, body);
      let status = 0;
      const pieces: Buffer[] = [];
      stream.once('response', (headers) => (status = headers[':status'] ?? 0));
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.once('end', () => resolve({ status, body: Buffer.concat(pieces) }));
      stream.once('error', reject);
      stream.once('close', () =>
        reject(new Error(`${method} ${path}: the connection closed before the answer`)),
      );
    });
  }

  /** One call that must be answered with `status`; returns the body. Waits and tries again after a 429. */
  async expect(status: number, method: string, path: string, body?: Buffer): Promise<Buffer> {
    for (;;) {
      const answer = await this.call(method, path, body);
      if (answer.status === status) return answer.body;
      if (answer.status !== 429)
        throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString().slice(0, 300)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Calls `onLine` with each line of a watch until the returned function is called. Resolves when the answer has begun. */
  watch(path: string, onLine: (line: string) => void): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const stream = this.#open('GET', path);
      let rest = '';
      stream.setEncoding('utf8');
      stream.once('response', (headers) => {
        if (headers[':status'] === 200) resolve(() => stream.close());
        else reject(new Error(`watch ${path}: ${headers[':status']}`));
      });
      stream.on('data', (piece: string) => {
        const lines = (rest + piece).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) onLine(line);
      });
      stream.on('error', () => undefined);
    });
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }
}
