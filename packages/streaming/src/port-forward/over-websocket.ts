import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { WebSocket } from 'ws';
import { acceptWebSocket } from '../websocket/accept.ts';
import { webSocketBytes } from '../websocket/byte-stream.ts';
import type { ForwardTarget } from './over-spdy.ts';
import { forwardOverSpdy, joined } from './over-spdy.ts';

/** SPDY frames as the content of a WebSocket. */
export const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';

const channelProtocols = ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io', ''];

/** Answers a WebSocket upgrade: the SPDY tunnel, or two channels (data, error) for each of `ports`, one connection per port. */
export async function acceptPortForwardWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  ports: readonly number[],
  target: ForwardTarget,
  clock: Clock,
): Promise<void> {
  const accepted = await acceptWebSocket(request, socket, head, [tunnelProtocol, ...channelProtocols]);
  if (!accepted) return;
  if (accepted.protocol === tunnelProtocol) {
    forwardOverSpdy(webSocketBytes(accepted.webSocket), Buffer.alloc(0), target, clock);
    return;
  }
  await forwardChannels(accepted.webSocket, accepted.protocol.includes('base64'), ports, target);
}

async function forwardChannels(
  webSocket: WebSocket,
  base64: boolean,
  ports: readonly number[],
  target: ForwardTarget,
): Promise<void> {
  const send = (channelNumber: number, data: Buffer): Promise<void> =>
    new Promise((resolve) => {
      if (webSocket.readyState !== webSocket.OPEN) resolve();
      else if (base64) webSocket.send(`${channelNumber}${data.toString('base64')}`, () => resolve());
      else webSocket.send(Buffer.concat([Buffer.from([channelNumber]), data]), () => resolve());
    });
  const streams = ports.map(
    (_, index) =>
      new Duplex({
        read: () => webSocket.resume(),
        write: (data: Buffer, _encoding, callback) => void send(index * 2, data).then(() => callback()),
      }),
  );
  webSocket.on('message', (message: Buffer) => {
    if (message.length === 0) return;
    const number = base64 ? (message[0] as number) - 0x30 : (message[0] as number);
    const data = base64 ? Buffer.from(message.subarray(1).toString('latin1'), 'base64') : message.subarray(1);
    const stream = number % 2 === 0 ? streams[number / 2] : undefined;
    if (stream && !stream.destroyed && data.length > 0 && !stream.push(data)) webSocket.pause();
  });
  webSocket.once('close', () => {
    for (const stream of streams) if (!stream.destroyed) stream.push(null);
    for (const stream of streams) stream.destroy();
  });
  await Promise.all(
    ports.map(async (port, index) => {
      const stream = streams[index] as Duplex;
      // Each channel begins with its port, 16 bits, little endian.
      const number = Buffer.alloc(2);
      number.writeUInt16LE(port);
      await send(index * 2, number);
      await send(index * 2 + 1, number);
      try {
        await joined(stream, await target.dial(port));
      } catch (error) {
        await send(
          index * 2 + 1,
          Buffer.from(`error forwarding port ${port} to ${target.description}: ${errorMessage(error)}`),
        );
        stream.destroy();
      }
    }),
  );
  webSocket.close(1000);
}
