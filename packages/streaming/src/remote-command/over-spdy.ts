import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '@pilothouse/base';
import { SpdyConnection } from '../spdy/connection.ts';
import type { SpdyStream } from '../spdy/stream.ts';
import { acceptSpdy } from '../spdy/upgrade.ts';
import type { RemoteStreams, StreamOptions } from './remote-streams.ts';
import { outcomeBytes, ResizeReader, ResizeSlot } from './remote-streams.ts';
import { ended } from './over-websocket.ts';

/** Values of X-Stream-Protocol-Version, newest first. Without the header the oldest is meant. */
export const spdyProtocols = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const;

/** How long a client may take to open the streams it asked for (kubelet's default). */
const creationMs = 30_000;

/** Exec or attach over SPDY: answers the upgrade and waits for the client's streams. Undefined when it refused or was left alone. */
export async function acceptRemoteSpdy(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: StreamOptions,
  clock: Clock,
): Promise<RemoteStreams | undefined> {
  const protocol = acceptSpdy(request, socket, spdyProtocols);
  if (protocol === undefined) return undefined;
  const version = Number(/^v(\d)/.exec(protocol)?.[1] ?? 1);
  const wanted = new Set<string>(['error']);
  if (options.stdin) wanted.add('stdin');
  if (options.stdout) wanted.add('stdout');
  if (options.stderr && !options.tty) wanted.add('stderr');
  if (options.tty && version >= 3) wanted.add('resize');
  const streams = new Map<string, SpdyStream>();
  let onClose: (() => void) | undefined;
  let closed = false;
  let complete: (all: boolean) => void = () => undefined;
  const standing = new Promise<boolean>((resolve) => (complete = resolve));
  const connection = new SpdyConnection(
    socket,
    {
      role: 'server',
      onStream(stream) {
        const type = stream.headers['streamtype'] ?? '';
        if (streams.has(type) || !['error', 'stdin', 'stdout', 'stderr', 'resize'].includes(type)) {
          stream.destroy();
          return;
        }
        streams.set(type, stream);
        if ([...wanted].every((each) => streams.has(each))) complete(true);
      },
      onClose() {
        closed = true;
        complete(false);
        onClose?.();
      },
    },
    head,
  );
  const timer = clock.setTimeout(() => complete(false), creationMs);
  const all = await standing;
  timer.cancel();
  if (!all) {
    connection.close();
    return undefined;
  }
  const resize = new ResizeSlot();
  const resizeReader = new ResizeReader();
  streams.get('resize')?.on('data', (bytes: Buffer) => {
    for (const size of resizeReader.push(bytes)) resize.put(size);
  });
  const stdout = streams.get('stdout');
  const stderr = streams.get('stderr');
  // The client's half of streams that only we write to is drained, so that its end is seen.
  for (const type of ['error', 'stdout', 'stderr']) streams.get(type)?.resume();
  return {
    stdin: streams.get('stdin'),
    stdout,
    stderr,
    onResize: (listener) => resize.listen(listener),
    onClose: (listener) => {
      onClose = listener;
      if (closed) listener();
    },
    async finish(outcome) {
      await Promise.all([stdout, stderr].map((stream) => stream && ended(stream)));
      const error = streams.get('error');
      if (error) {
        const status = outcomeBytes(outcome, version);
        if (status.length > 0) error.write(status);
        await ended(error);
      }
      connection.close();
    },
  };
}
