import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { SpdyConnection } from '../spdy/connection.ts';
import type { SpdyStream } from '../spdy/stream.ts';
import { acceptSpdy } from '../spdy/upgrade.ts';
import { ended } from '../remote-command/over-websocket.ts';

export const portForwardProtocol = 'portforward.k8s.io';

/** Where forwarded connections go. */
export interface ForwardTarget {
  /** Connects to a port of the pod; rejects with what the client is told. */
  dial(port: number): Promise<Duplex>;
  /** Names the pod in messages: `pod NAMESPACE_NAME, uid UID`. */
  readonly description: string;
}

/** How long the second stream of a pair may take (kubelet's default). */
const pairMs = 30_000;

interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
  cancel(): void;
}

/** Answers a SPDY upgrade and forwards until the client leaves. */
export function acceptPortForwardSpdy(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: ForwardTarget,
  clock: Clock,
): void {
  if (acceptSpdy(request, socket, [portForwardProtocol]) !== undefined)
    forwardOverSpdy(socket, head, target, clock);
}

/** Each connection is a pair of streams, `data` and `error`, with one requestid; any number of them at a time. */
export function forwardOverSpdy(socket: Duplex, head: Buffer, target: ForwardTarget, clock: Clock): void {
  const pairs = new Map<string, Pair>();
  new SpdyConnection(
    socket,
    {
      role: 'server',
      onStream(stream) {
        const type = stream.headers['streamtype'];
        const port = Number(stream.headers['port']);
        if ((type !== 'data' && type !== 'error') || !Number.isInteger(port) || port < 1 || port > 0xffff) {
          stream.destroy();
          return;
        }
        // Clients from before request ids open error and data one after the other: ids 1 and 3, 5 and 7, …
        const id =
          stream.headers['requestid'] || String(type === 'error' ? stream.streamId : stream.streamId - 2);
        let pair = pairs.get(id);
        if (!pair) {
          const timer = clock.setTimeout(() => {
            pairs.delete(id);
            pair?.error?.end(`request ${id}: timed out waiting for streams`);
            pair?.data?.destroy();
          }, pairMs);
          pairs.set(id, (pair = { cancel: () => timer.cancel() }));
        }
        if (pair[type]) {
          stream.destroy();
          return;
        }
        pair[type] = stream;
        if (pair.data && pair.error) {
          pair.cancel();
          pairs.delete(id);
          void forwardOne(pair.data, pair.error, port, target);
        }
      },
      onClose() {
        for (const pair of pairs.values()) pair.cancel();
      },
    },
    head,
  );
}

async function forwardOne(
  data: SpdyStream,
  error: SpdyStream,
  port: number,
  target: ForwardTarget,
): Promise<void> {
  error.resume();
  let upstream: Duplex;
  try {
    upstream = await target.dial(port);
  } catch (reason) {
    error.write(`error forwarding port ${port} to ${target.description}: ${errorMessage(reason)}`);
    await ended(error);
    data.destroy();
    return;
  }
  await joined(data, upstream);
  await ended(error);
}

/** Copies both ways with half-closes; resolves when both directions are done. */
export function joined(client: Duplex, upstream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    const done = (): void => {
      if (--open === 0) resolve();
    };
    client.pipe(upstream);
    upstream.pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.once('close', () => {
      upstream.destroy();
      done();
    });
    upstream.once('close', () => {
      if (!client.writableEnded) client.end();
      // The client's half goes with it: there is nobody left to write to.
      client.resume();
      if (!client.readableEnded) client.destroy();
      done();
    });
  });
}
