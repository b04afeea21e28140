import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

/**
 * A transport that sends a bearer token with each request; `token` is asked each time, so it may renew itself. With `forget`, a token that is refused
 * (401: its key was taken away before its time) is forgotten and the request sent once more with the next one.
 */
export function withBearerToken(
  transport: Transport,
  token: () => Promise<string>,
  forget?: () => void,
): Transport {
  const send = async (request: TransportRequest): Promise<TransportResponse> =>
    transport.request({
      ...request,
      headers: { ...request.headers, authorization: `Bearer ${await token()}` },
    });
  return {
    async request(request) {
      const answer = await send(request);
      if (answer.status !== 401 || forget === undefined) return answer;
      for await (const _ of answer.body);
      forget();
      return send(request);
    },
    close: () => transport.close(),
  };
}
