import type { Agent as HttpAgent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { StatusError } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { NodeTarget } from '../registry/delegates.ts';

const connectMs = 10_000;

/** Headers that mean something between two neighbours only, and those that are this server's business. */
const notForwarded = new Set([
  'authorization',
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export const isForwarded = (name: string): boolean => !notForwarded.has(name.toLowerCase());

/** The client's Host: it stays what the client said, since workloads make links of it. */
export function hostOf(request: IncomingMessage, target: NodeTarget): string {
  const authority = request.headers.host ?? request.headers[':authority'];
  return typeof authority === 'string' && authority !== '' ? authority : `${target.host}:${target.port}`;
}

/** Headers of a request as they go on, without the client's credentials, with the client's address added. */
export function forwardedHeaders(request: IncomingMessage): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  // What Connection names belongs to this hop too.
  const hop = new Set(
    String(request.headers.connection ?? '')
      .split(',')
      .map((each) => each.trim().toLowerCase()),
  );
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || name.startsWith(':') || name.startsWith('impersonate-')) continue;
    if (isForwarded(name) && !hop.has(name)) headers[name] = value;
  }
  const from = request.socket.remoteAddress;
  if (from !== undefined) {
    const before = request.headers['x-forwarded-for'];
    headers['x-forwarded-for'] = before === undefined ? from : `${String(before)}, ${from}`;
  }
  return headers;
}

/** Begins a request to a target; the caller ends it. */
export function dial(
  target: NodeTarget,
  agent: HttpAgent,
  method: string,
  headers: Record<string, string | string[]>,
): ClientRequest {
  const options: RequestOptions = {
    host: target.host,
    port: target.port,
    path: target.path,
    method,
    headers,
    agent,
  };
  const outgoing = target.scheme === 'http' ? httpRequest(options) : httpsRequest(options);
  // Only until the connection stands: what runs over it may be silent for long.
  outgoing.setTimeout(connectMs);
  outgoing.once('timeout', () => {
    if (outgoing.socket?.connecting !== false) outgoing.destroy(new Error('i/o timeout'));
  });
  return outgoing;
}

/** Go's words for what went wrong on the way to a target. */
function networkText(target: NodeTarget, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const address = `dial tcp ${target.host}:${target.port}`;
  switch (code) {
    case 'ECONNREFUSED':
      return `${address}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `${address}: connect: no route to host`;
    case 'ENETUNREACH':
      return `${address}: connect: network is unreachable`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${target.host}: no such host`;
    default:
      return errorMessage(error) === 'i/o timeout' ? `${address}: i/o timeout` : errorMessage(error);
  }
}

/** What a client is told when its target could not be reached. */
export function dialError(target: NodeTarget, error: unknown, upgrade = false): StatusError {
  const text = networkText(target, error);
  if (!target.asKubelet) return statusErrors.serviceUnavailable(`error trying to reach service: ${text}`);
  return statusErrors.internal(
    upgrade
      ? `error dialing backend: ${text}`
      : `Get "${target.scheme}://${target.host}:${target.port}${target.path}": ${text}`,
  );
}

export function statusBody(error: StatusError): Buffer {
  return Buffer.from(`${JSON.stringify(error.status)}\n`);
}

/** Status line and headers of an answer on a connection that has left HTTP's hands. */
export function headText(status: number, message: string, rawHeaders: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${message}\r\n`;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    text += `${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`;
  }
  return `${text}\r\n`;
}

/** Answers an upgrade request with a Status and ends the connection. */
export function refuseUpgrade(socket: Duplex, error: StatusError): void {
  if (socket.destroyed) return;
  const body = statusBody(error);
  const headers = [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(body.length),
    'Connection',
    'close',
  ];
  socket.end(Buffer.concat([Buffer.from(headText(error.httpCode, error.reason, headers)), body]));
}
