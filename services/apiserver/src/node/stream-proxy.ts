import type { Agent as HttpAgent, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { statusErrors } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { StreamOptions } from '@pilothouse/streaming';
import {
  acceptRemoteCommand,
  acceptWebSocket,
  isWebSocket,
  joined,
  offeredProtocols,
  portForwardProtocol,
  protocolHeader,
  relayOverSpdy,
  SpdyConnection,
  tunnelProtocol,
  webSocketBytes,
} from '@pilothouse/streaming';
import type { NodeTarget, StreamKind } from '../registry/delegates.ts';
import type { ConnectHandler } from '../registry/rest/rest-storage.ts';
import {
  dial,
  dialError,
  forwardedHeaders,
  headText,
  hostOf,
  refuseUpgrade,
  statusBody,
} from './outgoing.ts';
import { forwardUpgrade } from './upgrade-proxy.ts';

/**
 * exec, attach and port-forward to a node. A node that takes the newer WebSocket protocols itself gets everything as it comes; for an older
 * one WebSocket's version 5 and the port-forward tunnel are turned into the SPDY that it knows.
 */
export function streamProxy(
  target: NodeTarget,
  agent: HttpAgent,
  kind: StreamKind,
  clock: Clock,
): ConnectHandler {
  return {
    handle(_request, response) {
      const status = statusErrors.badRequest('Upgrade request required');
      const body = statusBody(status);
      response
        .writeHead(400, { 'Content-Type': 'application/json', 'Content-Length': body.length })
        .end(body);
    },
    upgrade(request, socket, head) {
      const offered = isWebSocket(request) ? offeredProtocols(request) : [];
      if (!kind.nodeTakesWebSockets && kind.type === 'command' && offered.includes('v5.channel.k8s.io'))
        void translateCommand(target, agent, request, socket, Buffer.from(head), kind.options, clock);
      else if (!kind.nodeTakesWebSockets && kind.type === 'ports' && offered.includes(tunnelProtocol))
        void tunnelPorts(target, agent, request, socket, Buffer.from(head));
      else forwardUpgrade(target, agent, request, socket, Buffer.from(head));
    },
  };
}

/** Asks the node to upgrade to SPDY. Gives undefined after telling the client why it could not be. */
function dialSpdy(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  socket: Duplex,
  protocol: string,
): Promise<{ socket: Duplex; head: Buffer } | undefined> {
  const headers = forwardedHeaders(request);
  for (const name of Object.keys(headers)) if (name.startsWith('sec-websocket-')) delete headers[name];
  return new Promise((resolve) => {
    const outgoing = dial(target, agent, 'POST', {
      ...headers,
      host: hostOf(request, target),
      connection: 'Upgrade',
      upgrade: 'SPDY/3.1',
      [protocolHeader]: protocol,
    });
    outgoing.once('upgrade', (_answer, upstream, head) => resolve({ socket: upstream, head }));
    outgoing.once('response', (answer) => {
      socket.write(headText(answer.statusCode ?? 502, answer.statusMessage ?? '', ['Connection', 'close']));
      answer.pipe(socket);
      resolve(undefined);
    });
    outgoing.once('error', (error) => {
      refuseUpgrade(socket, dialError(target, error, true));
      resolve(undefined);
    });
    socket.once('close', () => outgoing.destroy());
    outgoing.end();
  });
}

async function translateCommand(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: StreamOptions,
  clock: Clock,
): Promise<void> {
  const upstream = await dialSpdy(target, agent, request, socket, 'v4.channel.k8s.io');
  if (!upstream) return;
  const client = await acceptRemoteCommand(request, socket, head, options, clock);
  if (!client) {
    upstream.socket.destroy();
    return;
  }
  const node = new SpdyConnection(upstream.socket, { role: 'client' }, upstream.head);
  await relayOverSpdy(client, node, options);
}

async function tunnelPorts(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const upstream = await dialSpdy(target, agent, request, socket, portForwardProtocol);
  if (!upstream) return;
  const accepted = await acceptWebSocket(request, socket, head, [tunnelProtocol]);
  if (!accepted) {
    upstream.socket.destroy();
    return;
  }
  if (upstream.head.length > 0) upstream.socket.unshift(upstream.head);
  await joined(webSocketBytes(accepted.webSocket), upstream.socket);
}
