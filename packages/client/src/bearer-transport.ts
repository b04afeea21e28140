import type { Transport } from './transport.ts';

/** A transport that sends a bearer token with each request; `token` is asked each time, so it may renew itself. */
export function withBearerToken(transport: Transport, token: () => Promise<string>): Transport {
  return {
    async request(request) {
      return transport.request({
        ...request,
        headers: { ...request.headers, authorization: `Bearer ${await token()}` },
      });
    },
    close: () => transport.close(),
  };
}
