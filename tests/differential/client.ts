import https from 'node:https';
import { jsonText } from '@pilothouse/apimachinery';

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** Texts of the Warning headers. */
  readonly warnings: readonly string[];
  readonly contentType?: string;
}

export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A watch that is open. */
export interface Watched {
  /** The events so far, one JSON text each. */
  lines(): string[];
  stop(): void;
}

/** One of the two servers. */
export class Client {
  readonly #url: string;
  readonly #agent: https.Agent;
  readonly #watchAgent: https.Agent;

  constructor(url: string, credentials: Credentials) {
    this.#url = url;
    this.#agent = new https.Agent({ ...credentials, keepAlive: true, maxSockets: 4 });
    this.#watchAgent = new https.Agent(credentials);
  }

  call(
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const payload =
      body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : jsonText(body));
    return new Promise((resolve, reject) => {
      const request = https.request(`${this.#url}${path}`, {
        method,
        agent: this.#agent,
        timeout: 60_000,
        headers: {
          accept: 'application/json',
          'user-agent': 'differential/1',
          ...(payload === undefined ? {} : { 'content-type': contentType, 'content-length': payload.length }),
          ...headers,
        },
      });
      const fail = (error: Error): void =>
        reject(new Error(`${method} ${this.#url}${path}: ${error.message}`, { cause: error }));
      request.on('error', fail);
      request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer within a minute`)));
      request.on('response', (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', fail);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(pieces).toString('utf8'),
            warnings: warningTexts(response.rawHeaders),
            ...(response.headers['content-type'] === undefined
              ? {}
              : { contentType: response.headers['content-type'] }),
          }),
        );
      });
      request.end(payload);
    });
  }

  /** Opens a watch of a collection from what it is now; resolves when the server has answered. */
  async watch(path: string): Promise<Watched> {
    const { text } = await this.call('GET', path);
    const list = JSON.parse(text) as { metadata?: { resourceVersion?: string } };
    const query = `${path.includes('?') ? '&' : '?'}watch=1&resourceVersion=${list.metadata?.resourceVersion}`;
    return new Promise((resolve, reject) => {
      const request = https.get(
        `${this.#url}${path}${query}`,
        { agent: this.#watchAgent, headers: { accept: 'application/json' } },
        (response) => {
          if (response.statusCode !== 200)
            reject(new Error(`watch of ${this.#url}${path}: ${response.statusCode}`));
          let lines = '';
          response.setEncoding('utf8');
          response.on('data', (piece: string) => (lines += piece));
          response.on('error', () => undefined);
          resolve({
            lines: () => lines.split('\n').filter((line) => line !== ''),
            stop: () => void request.destroy(),
          });
        },
      );
      request.on('error', reject);
    });
  }

  close(): void {
    this.#watchAgent.destroy();
    this.#agent.destroy();
  }
}

function warningTexts(rawHeaders: readonly string[]): string[] {
  const texts: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    if ((rawHeaders[index] ?? '').toLowerCase() === 'warning') texts.push(rawHeaders[index + 1] ?? '');
  return texts;
}
