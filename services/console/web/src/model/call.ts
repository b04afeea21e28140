import { parse } from 'yaml';

/** An answer that is not a success; `status` 0: none came. */
export class CallError extends Error {
  readonly status: number;
  /** A Kubernetes Status, or the console's `{message}`. */
  readonly body: StatusBody;

  constructor(status: number, body: StatusBody) {
    super(body.message ?? `The server answers ${status}`);
    this.status = status;
    this.body = body;
  }
}

export interface StatusBody {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {
    readonly causes?: readonly {
      readonly reason?: string;
      readonly message?: string;
      readonly field?: string;
    }[];
  };
}

export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** What the page may ask of the console. Calls carry the mark that no other page can send; the browser adds the cookie. */
export class Caller {
  /** Told when the session has ended. */
  onLoggedOut: (reason: string) => void = () => undefined;

  async call(path: string, options: CallOptions = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(path, {
        method: options.method ?? 'GET',
        credentials: 'same-origin',
        redirect: 'error',
        headers: {
          'x-pilothouse-console': '1',
          accept: options.accept ?? 'application/json',
          ...(options.body === undefined
            ? {}
            : { 'content-type': options.contentType ?? 'application/json' }),
        },
        ...(options.body === undefined ? {} : { body: options.body }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      throw new CallError(0, { message: 'The console does not answer' });
    }
    if (response.ok) return response;
    const text = await response.text();
    let body: StatusBody = {};
    try {
      // Who asks for YAML is refused in YAML, of which JSON is a part.
      const value: unknown = parse(text);
      if (typeof value === 'object' && value !== null) body = value;
      else if (text !== '') body = { message: text.slice(0, 500) };
    } catch {
      body = { message: text.slice(0, 500) };
    }
    if (response.status === 401 && path !== '/session')
      this.onLoggedOut(body.message ?? 'The session has ended');
    throw new CallError(response.status, body);
  }

  async json<T>(path: string, options: CallOptions = {}): Promise<T> {
    return (await (await this.call(path, options)).json()) as T;
  }

  async text(path: string, options: CallOptions = {}): Promise<string> {
    return (await this.call(path, options)).text();
  }
}

export const caller = new Caller();

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
