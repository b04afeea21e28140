import type { Clock } from '@pilothouse/base';
import type { Transport } from './transport.ts';

/** Told of every request; `code` is the HTTP status, or `<error>` when there was no answer. */
export interface RequestObserver {
  request(request: {
    readonly host: string;
    readonly method: string;
    readonly code: string;
    /** Until the answer began. */
    readonly seconds: number;
    /** Of the request's body. */
    readonly bytes: number;
  }): void;
}

/** The same transport, each of whose requests is told to the observer. */
export function measuredTransport(
  transport: Transport,
  options: { readonly server: string; readonly clock: Clock; readonly observer: RequestObserver },
): Transport {
  const { clock, observer } = options;
  const { host } = new URL(options.server);
  return {
    async request(request) {
      const startedMs = clock.monotonic();
      let code = '<error>';
      try {
        const response = await transport.request(request);
        code = String(response.status);
        return response;
      } finally {
        const { method, body } = request;
        const bytes =
          body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length;
        observer.request({ host, method, code, seconds: (clock.monotonic() - startedMs) / 1000, bytes });
      }
    },
    close: () => transport.close(),
  };
}
