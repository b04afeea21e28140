import type { Environment } from '@marcbachmann/cel-js';

class Url {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
  constructor(text: string) {
    const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?$/.exec(text);
    if (match === null || /\s/.test(text) || (match[1] === undefined && !text.startsWith('/'))) {
      throw new Error(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
      );
    }
    this.scheme = (match[1] ?? '').toLowerCase();
    this.authority = match[2] ?? '';
    this.path = match[3] ?? '';
    this.query = match[4] ?? '';
  }
  /** Host with port, without user information. */
  get host(): string {
    return this.authority.slice(this.authority.lastIndexOf('@') + 1);
  }
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
};

/** `url('https://example.com/x?y=z')` and its parts. */
export function registerUrls(env: Environment): void {
  const type = 'kubernetes.URL';
  env.registerType(type, Url);
  env.registerFunction(`url(string): ${type}`, (text: string) => new Url(text));
  env.registerFunction('isURL(string): bool', (text: string) => {
    try {
      new Url(text);
      return true;
    } catch {
      return false;
    }
  });
  env.registerFunction(`${type}.getScheme(): string`, (url: Url) => url.scheme);
  env.registerFunction(`${type}.getHost(): string`, (url: Url) => url.host);
  env.registerFunction(`${type}.getHostname(): string`, (url: Url) =>
    url.host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1'),
  );
  env.registerFunction(`${type}.getPort(): string`, (url: Url) => /:(\d+)$/.exec(url.host)?.[1] ?? '');
  env.registerFunction(`${type}.getEscapedPath(): string`, (url: Url) => url.path);
  env.registerFunction(`${type}.getQuery(): map<string, list<string>>`, (url: Url) => {
    const out = new Map<string, string[]>();
    for (const pair of url.query.split('&').filter((each) => each !== '')) {
      const [key = '', value = ''] = pair.split('=', 2);
      const values = out.get(decode(key)) ?? [];
      values.push(decode(value));
      out.set(decode(key), values);
    }
    return out;
  });
}
