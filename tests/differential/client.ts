import https from 'node:https';

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** Texts of the Warning headers. */
  readonly warnings: readonly string[];
}

export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** One of the two servers. */
export class Client {
  readonly #url: string;
  readonly #agent: https.Agent;

  constructor(url: string, credentials: Credentials) {
    this.#url = url;
    this.#agent = new https.Agent({ ...credentials, keepAlive: true, maxSockets: 4 });
  }

  call(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<Answer> {
    const payload =
      body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const request = https.request(`${this.#url}${path}`, {
        method,
        agent: this.#agent,
        timeout: 60_000,
        headers: {
          accept: 'application/json',
          'user-agent': 'differential/1',
          ...(payload === undefined ? {} : { 'content-type': contentType, 'content-length': payload.length }),
        },
      });
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer within a minute`)));
      request.on('response', (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(pieces).toString('utf8'),
            warnings: warningTexts(response.rawHeaders),
          }),
        );
      });
      request.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function warningTexts(rawHeaders: readonly string[]): string[] {
  const texts: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    if ((rawHeaders[index] ?? '').toLowerCase() === 'warning') texts.push(rawHeaders[index + 1] ?? '');
  return texts;
}
