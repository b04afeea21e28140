import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { errorMessage } from '@pilothouse/base';
import type { Logger } from '@pilothouse/base';
import { respondText } from '../endpoints/respond.ts';
import type { Exchange } from '../request/exchange.ts';
import { identityHeaders, isIdentityHeader } from './identity-headers.ts';
import { networkErrorText } from '../node/network-error.ts';
import type { RemoteApi } from './remote-api.ts';
import type { RemoteConnections } from './remote-connections.ts';
import type { ServiceAddress } from './service-address.ts';

/** Headers between two neighbours only. */
const hopHeaders = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Passes an exchange on to the server of `api`, for the exchange's user. Resolves when there is nothing left to do here. */
export async function proxyExchange(
  exchange: Exchange,
  api: RemoteApi,
  connections: RemoteConnections,
  logger: Logger,
): Promise<void> {
  if (!api.available) {
    respondProxyError(exchange, 503, 'service unavailable');
    return;
  }
  let address: ServiceAddress;
  try {
    address = connections.address(api);
  } catch (error) {
    logger.warn('Cannot find the server of an APIService', { name: api.name, error: errorMessage(error) });
    respondProxyError(exchange, 503, 'service unavailable');
    return;
  }
  if (exchange.upgrade) proxyUpgrade(exchange, api, connections, address);
  else await proxyRequest(exchange, api, connections, address);
}

/** Go's http.Error. */
function respondProxyError(exchange: Exchange, status: number, text: string): void {
  exchange.response.setHeader('X-Content-Type-Options', 'nosniff');
  respondText(exchange, status, `${text}\n`);
}

function requestHeaders(exchange: Exchange): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(exchange.request.headers)) {
    if (value === undefined || name.startsWith(':') || hopHeaders.has(name) || isIdentityHeader(name))
      continue;
    headers[name] = value;
  }
  headers['audit-id'] = exchange.auditId;
  const from = exchange.request.socket?.remoteAddress;
  if (from !== undefined) {
    const before = exchange.header('x-forwarded-for');
    headers['x-forwarded-for'] = before === '' ? from : `${before}, ${from}`;
  }
  return { ...headers, ...identityHeaders(exchange.user) };
}

function responseHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hopHeaders.has(name)) result[name] = value;
  }
  return result;
}

/** Whether a request of a method that usually has no body brings one of unknown length. */
function hasUnmeasuredBody(exchange: Exchange): boolean {
  const { headers } = exchange.request;
  if (headers['content-length'] !== undefined) return false;
  if (headers['transfer-encoding'] !== undefined) return true;
  const { stream } = exchange.request as { stream?: { endAfterHeaders?: boolean } };
  return stream?.endAfterHeaders === false;
}

function proxyRequest(
  exchange: Exchange,
  api: RemoteApi,
  connections: RemoteConnections,
  address: ServiceAddress,
): Promise<void> {
  const { request, response } = exchange;
  const headers = requestHeaders(exchange);
  if (hasUnmeasuredBody(exchange)) headers['transfer-encoding'] = 'chunked';
  const hasBody = exchange.method !== 'GET' && exchange.method !== 'HEAD';
  return new Promise((resolve) => {
    let outgoing: ClientRequest;
    response.once('close', () => {
      outgoing.destroy();
      resolve();
    });
    exchange.onAbort(() => outgoing.destroy());
    const attempt = (isRetry: boolean): void => {
      outgoing = connections.open(api, address, {
        method: exchange.method,
        path: request.url ?? '/',
        headers,
      });
      outgoing.once('response', (answer) => respondWith(exchange, answer));
      outgoing.once('error', (error: Error & { code?: string }) => {
        // A kept connection may end just when it is used again.
        if (
          !isRetry &&
          !hasBody &&
          outgoing.reusedSocket &&
          error.code === 'ECONNRESET' &&
          !response.destroyed
        ) {
          attempt(true);
          return;
        }
        if (response.headersSent) response.destroy();
        else if (!exchange.isAborted) respondProxyError(exchange, 503, networkErrorText(error, address));
        resolve();
      });
      if (hasBody) request.pipe(outgoing);
      else outgoing.end();
    };
    attempt(false);
  });
}

function respondWith(exchange: Exchange, answer: IncomingMessage): void {
  const { response } = exchange;
  const status = answer.statusCode ?? 502;
  if (status >= 300 && status <= 399 && answer.headers.location !== undefined) {
    // Following it could reach what the client may not.
    answer.resume();
    respondText(exchange, 502, 'the backend attempted to redirect this request, which is not permitted');
    return;
  }
  response.writeHead(status, responseHeaders(answer.headers));
  response.flushHeaders();
  answer.once('error', () => response.destroy());
  answer.pipe(response);
}

/** exec-like streams: after the other server agreed, bytes go through as they are. */
function proxyUpgrade(
  exchange: Exchange,
  api: RemoteApi,
  connections: RemoteConnections,
  address: ServiceAddress,
): void {
  const { request, response, upgrade } = exchange;
  if (upgrade === undefined) return;
  const { socket, head } = upgrade;
  const outgoing = connections.open(api, address, {
    method: exchange.method,
    path: request.url ?? '/',
    headers: {
      ...requestHeaders(exchange),
      connection: 'Upgrade',
      upgrade: exchange.header('upgrade'),
    },
  });
  outgoing.once('upgrade', (answer, remote, remoteHead) => {
    response.detachSocket(socket as never);
    let text = `HTTP/1.1 101 ${answer.statusMessage ?? 'Switching Protocols'}\r\n`;
    for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2) {
      text += `${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}\r\n`;
    }
    socket.write(`${text}\r\n`);
    if (remoteHead.length > 0) socket.write(remoteHead);
    if (head.length > 0) remote.write(head);
    remote.setTimeout(0);
    remote.pipe(socket);
    socket.pipe(remote);
    for (const [one, other] of [
      [socket, remote],
      [remote, socket],
    ] as const) {
      one.once('error', () => other.destroy());
      one.once('close', () => other.destroy());
    }
  });
  // No upgrade: the client gets the answer as it is.
  outgoing.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, responseHeaders(answer.headers));
    answer.once('error', () => response.destroy());
    answer.pipe(response);
  });
  outgoing.once('error', (error) => {
    if (!response.headersSent && !socket.destroyed) {
      respondProxyError(exchange, 503, `error dialing backend: ${networkErrorText(error, address)}`);
    }
  });
  socket.once('close', () => outgoing.destroy());
  outgoing.end();
}
