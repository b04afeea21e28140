import type { Agent as HttpAgent, IncomingMessage, ServerResponse } from 'node:http';
import { brotliDecompressSync, gunzipSync, gzipSync, inflateSync, inflateRawSync } from 'node:zlib';
import type { NodeTarget } from '../registry/delegates.ts';
import type { ConnectHandler } from '../registry/rest/rest-storage.ts';
import type { LinkRewriting } from './html-links.ts';
import { rewriteHtml, rewriteLink } from './html-links.ts';
import { dial, dialError, forwardedHeaders, hostOf, isForwarded, statusBody } from './outgoing.ts';
import { forwardUpgrade } from './upgrade-proxy.ts';

/** A page that is larger goes through with its links as they are. */
const pageBytesMax = 8 * 1024 * 1024;

/** The proxy decides about cross-origin requests, not the workload. */
const removedHeaders = new Set([
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
]);

/** `proxy` of pods, services and nodes: any method, upgrades, redirects and links of HTML pages led back through the proxy. */
export function workloadProxy(target: NodeTarget, agent: HttpAgent): ConnectHandler {
  return {
    handle: (request, response) => forward(target, agent, request, response),
    upgrade: (request, socket, head) => forwardUpgrade(target, agent, request, socket, Buffer.from(head)),
  };
}

function forward(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const [ownPath, query] = (request.url ?? '/').split(/\?(.*)/s) as [string, string?];
  const targetPath = target.path.split('?')[0] as string;
  // Without the slash, relative links of the page would lead out of the proxy.
  if (target.path === '' || target.path.startsWith('?')) {
    if (request.method === 'GET' || request.method === 'HEAD') {
      response
        .writeHead(301, { location: `${ownPath}/${query === undefined || query === '' ? '' : `?${query}`}` })
        .end();
      return;
    }
  }
  const prefix = ownPath.endsWith(targetPath)
    ? ownPath.slice(0, ownPath.length - targetPath.length)
    : ownPath;
  const host = hostOf(request, target);
  const rewriting: LinkRewriting = { prefix, hosts: [`${target.host}:${target.port}`, target.host, host] };
  const to = { ...target, path: target.path.startsWith('/') ? target.path : `/${target.path}` };
  const outgoing = dial(to, agent, request.method ?? 'GET', {
    ...forwardedHeaders(request),
    host,
    'x-forwarded-uri': `${prefix}${targetPath}`,
    ...(request.headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }),
  });
  outgoing.once('response', (answer) => {
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined && isForwarded(name) && !removedHeaders.has(name)) headers[name] = value;
    }
    const isPage = /^text\/html\s*(;|$)/.test(String(answer.headers['content-type'] ?? '').trim());
    const isPlainAnswer = request.method !== 'HEAD' && answer.headers.location === undefined;
    if (answer.headers.location !== undefined)
      headers['location'] = rewriteLink(answer.headers.location, rewriting);
    if (isPage && isPlainAnswer) void sendPage(answer, headers, response, rewriting);
    else {
      response.writeHead(answer.statusCode ?? 502, headers);
      response.flushHeaders();
      answer.pipe(response);
    }
    answer.once('error', () => response.destroy());
  });
  outgoing.once('error', (error) => {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const status = dialError({ ...target, asKubelet: false }, error);
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

/** A page is taken whole, so that its links can be rewritten; one that is too large, or packed in a strange way, is passed on. */
async function sendPage(
  answer: IncomingMessage,
  headers: Record<string, string | string[]>,
  response: ServerResponse,
  rewriting: LinkRewriting,
): Promise<void> {
  const encoding = String(answer.headers['content-encoding'] ?? '').toLowerCase();
  const pieces: Buffer[] = [];
  let bytes = 0;
  const status = answer.statusCode ?? 502;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      if (response.headersSent) {
        if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
        continue;
      }
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > pageBytesMax) {
        response.writeHead(status, headers);
        for (const held of pieces.splice(0)) response.write(held);
      }
    }
    if (response.headersSent) {
      response.end();
      return;
    }
    const packed = Buffer.concat(pieces);
    const page = unpack(packed, encoding);
    let body = packed;
    if (page) {
      const text = Buffer.from(rewriteHtml(page.toString('utf8'), rewriting));
      if (encoding === '') body = text;
      else {
        body = gzipSync(text);
        headers['content-encoding'] = 'gzip';
      }
    }
    headers['content-length'] = String(body.length);
    response.writeHead(status, headers).end(body);
  } catch {
    response.destroy();
  }
}

function unpack(body: Buffer, encoding: string): Buffer | undefined {
  const options = { maxOutputLength: pageBytesMax * 4 };
  try {
    switch (encoding) {
      case '':
        return body;
      case 'gzip':
        return gunzipSync(body, options);
      case 'deflate':
        return (((body[0] ?? 0) & 0x0f) === 8 ? inflateSync : inflateRawSync)(body, options);
      case 'br':
        return brotliDecompressSync(body, options);
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}
