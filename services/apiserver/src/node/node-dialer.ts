import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, RequestOptions, ServerResponse } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { StatusError } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { NodeDialer, NodeTarget } from '../registry/delegates.ts';
import type { ConnectHandler } from '../registry/rest/rest-storage.ts';

/** Who the server is for nodes, and whom it trusts among them. */
export interface KubeletClientConfig {
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Absent: serving certificates of nodes are not verified, as upstream without --kubelet-certificate-authority. */
  readonly caPem?: string;
}

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

/** Makes the connections behind log, exec, attach, port-forward and proxy over HTTP(S), upgrades included. */
export function nodeDialer(kubelet: KubeletClientConfig = {}): NodeDialer {
  const asKubelet = new HttpsAgent({
    keepAlive: true,
    ...(kubelet.certPem === undefined ? {} : { cert: kubelet.certPem }),
    ...(kubelet.keyPem === undefined ? {} : { key: kubelet.keyPem }),
    ...(kubelet.caPem === undefined ? { rejectUnauthorized: false } : { ca: kubelet.caPem }),
  });
  // Workloads have certificates of their own, which this server has no way to know.
  const asAnyone = new HttpsAgent({ keepAlive: true, rejectUnauthorized: false });
  const plain = new HttpAgent({ keepAlive: true });
  return {
    proxy(target): ConnectHandler {
      const agent = target.scheme === 'http' ? plain : target.asKubelet ? asKubelet : asAnyone;
      return {
        handle: (request, response) => forward(target, agent, request, response),
        upgrade: (request, socket, head) => forwardUpgrade(target, agent, request, socket, Buffer.from(head)),
      };
    },
  };
}

function dial(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  headers: Record<string, string | string[]>,
): ClientRequest {
  const options: RequestOptions = {
    host: target.host,
    port: target.port,
    path: target.path,
    method: request.method ?? 'GET',
    headers: { ...headers, host: `${target.host}:${target.port}` },
    agent,
  };
  const outgoing = target.scheme === 'http' ? httpRequest(options) : httpsRequest(options);
  // Only until the connection stands: what runs over it may be silent for long.
  outgoing.setTimeout(connectMs);
  outgoing.once('timeout', () => {
    if (outgoing.socket?.connecting !== false) outgoing.destroy(new Error('dial timeout'));
  });
  return outgoing;
}

function forwardedHeaders(request: IncomingMessage): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (
      value === undefined ||
      name.startsWith(':') ||
      notForwarded.has(name) ||
      name.startsWith('impersonate-')
    )
      continue;
    headers[name] = value;
  }
  const from = request.socket.remoteAddress;
  if (from !== undefined) headers['x-forwarded-for'] = from;
  return headers;
}

function dialError(target: NodeTarget, error: unknown): StatusError {
  return target.asKubelet
    ? statusErrors.internal(
        `Get "${target.scheme}://${target.host}:${target.port}${target.path}": ${errorMessage(error)}`,
      )
    : statusErrors.serviceUnavailable(
        `error trying to reach service: dial tcp ${target.host}:${target.port}: ${errorMessage(error)}`,
      );
}

function statusBody(error: StatusError): Buffer {
  return Buffer.from(`${JSON.stringify(error.status)}\n`);
}

function forward(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const outgoing = dial(target, agent, request, forwardedHeaders(request));
  outgoing.once('response', (answer) => {
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined && !notForwarded.has(name)) headers[name] = value;
    }
    response.writeHead(answer.statusCode ?? 502, headers);
    response.flushHeaders();
    answer.pipe(response);
    answer.once('error', () => response.destroy());
  });
  outgoing.once('error', (error) => {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const status = dialError(target, error);
    const body = statusBody(status);
    response.writeHead(status.httpCode, {
      'Content-Type': 'application/json',
      'Content-Length': body.length,
    });
    response.end(body);
  });
  response.once('close', () => outgoing.destroy());
  request.pipe(outgoing);
}

function forwardUpgrade(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const outgoing = dial(target, agent, request, {
    ...forwardedHeaders(request),
    connection: 'Upgrade',
    upgrade: request.headers.upgrade ?? '',
  });
  outgoing.once('upgrade', (answer, upstream, upstreamHead) => {
    socket.write(`${headText(101, 'Switching Protocols', answer.rawHeaders)}`);
    if (upstreamHead.length > 0) socket.write(upstreamHead);
    if (head.length > 0) upstream.write(head);
    upstream.pipe(socket);
    socket.pipe(upstream);
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      one.once('error', () => other.destroy());
      one.once('close', () => other.destroy());
    }
  });
  // The node refused to upgrade: the client gets its answer.
  outgoing.once('response', (answer) => {
    socket.write(headText(answer.statusCode ?? 502, answer.statusMessage ?? '', answer.rawHeaders));
    answer.pipe(socket);
  });
  outgoing.once('error', (error) => {
    if (socket.destroyed) return;
    const status = dialError(target, error);
    const body = statusBody(status);
    const headers = [
      'Content-Type',
      'application/json',
      'Content-Length',
      String(body.length),
      'Connection',
      'close',
    ];
    socket.end(Buffer.concat([Buffer.from(headText(status.httpCode, status.reason, headers)), body]));
  });
  socket.once('close', () => outgoing.destroy());
  outgoing.end();
}

function headText(status: number, message: string, rawHeaders: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${message}\r\n`;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    text += `${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`;
  }
  return `${text}\r\n`;
}
