import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '@pilothouse/base';
import { acceptWebSocket, isWebSocket } from '../websocket/accept.ts';
import { acceptRemoteSpdy } from './over-spdy.ts';
import { remoteCommandProtocols, remoteStreamsOverWebSocket } from './over-websocket.ts';
import type { RemoteStreams, StreamOptions } from './remote-streams.ts';

/** Answers the upgrade of exec or attach in the protocol that the client asks for. Undefined: it was refused and has its answer. */
export async function acceptRemoteCommand(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: StreamOptions,
  clock: Clock,
): Promise<RemoteStreams | undefined> {
  if (!isWebSocket(request)) return acceptRemoteSpdy(request, socket, head, options, clock);
  const accepted = await acceptWebSocket(request, socket, head, remoteCommandProtocols);
  return accepted && remoteStreamsOverWebSocket(accepted.webSocket, accepted.protocol, options);
}
