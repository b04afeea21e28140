import { Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { RemoteStreams, StreamOptions } from './remote-streams.ts';
import { outcomeBytes, ResizeReader, ResizeSlot } from './remote-streams.ts';

/** Channel numbers: the first byte of every message. */
export const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** Subprotocols in upstream's words; '' is the oldest, without a name. */
export const remoteCommandProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
  '',
] as const;

interface Codec {
  encode(channelNumber: number, data: Buffer): Buffer | string;
  decode(message: Buffer): { channelNumber: number; data: Buffer } | undefined;
}

const rawCodec: Codec = {
  encode: (channelNumber, data) => Buffer.concat([Buffer.from([channelNumber]), data]),
  decode: (message) =>
    message.length === 0 ? undefined : { channelNumber: message[0] as number, data: message.subarray(1) },
};

/** The channel is one digit, the rest base64, all as text. */
const base64Codec: Codec = {
  encode: (channelNumber, data) => `${channelNumber}${data.toString('base64')}`,
  decode: (message) =>
    message.length === 0
      ? undefined
      : {
          channelNumber: (message[0] as number) - 0x30,
          data: Buffer.from(message.subarray(1).toString('latin1'), 'base64'),
        },
};

/** Exec or attach over a WebSocket that was accepted with `protocol`. */
export function remoteStreamsOverWebSocket(
  webSocket: WebSocket,
  protocol: string,
  options: StreamOptions,
): RemoteStreams {
  const codec = protocol.includes('base64') ? base64Codec : rawCodec;
  const version = protocol.startsWith('v5') ? 5 : protocol.startsWith('v4') ? 4 : 1;
  const resize = new ResizeSlot();
  const resizeReader = new ResizeReader();
  const send = (channelNumber: number, data: Buffer): Promise<void> =>
    new Promise((resolve) => {
      if (webSocket.readyState === webSocket.OPEN)
        webSocket.send(codec.encode(channelNumber, data), () => resolve());
      else resolve();
    });
  const output = (channelNumber: number): Writable =>
    new Writable({
      write: (data: Buffer, _encoding, callback) => void send(channelNumber, data).then(() => callback()),
    });
  const stdin = options.stdin ? new Readable({ read: () => webSocket.resume() }) : undefined;
  const stdout = options.stdout ? output(channel.stdout) : undefined;
  const stderr = options.stderr && !options.tty ? output(channel.stderr) : undefined;
  let stdinEnded = false;
  const endStdin = (): void => {
    if (stdinEnded) return;
    stdinEnded = true;
    stdin?.push(null);
  };

  webSocket.on('message', (raw: Buffer) => {
    const message = codec.decode(raw);
    if (!message) return;
    switch (message.channelNumber) {
      case channel.stdin:
        if (stdin && !stdinEnded && message.data.length > 0 && !stdin.push(message.data)) webSocket.pause();
        break;
      case channel.resize:
        for (const size of resizeReader.push(message.data)) resize.put(size);
        break;
      case channel.close:
        if (version >= 5 && message.data[0] === channel.stdin) endStdin();
        break;
      default:
    }
  });
  let onClose: (() => void) | undefined;
  let closed = false;
  webSocket.once('close', () => {
    closed = true;
    endStdin();
    onClose?.();
  });
  // An empty message tells the client that the session stands.
  void send(stdout ? channel.stdout : stderr ? channel.stderr : channel.error, Buffer.alloc(0));

  return {
    stdin,
    stdout,
    stderr,
    onResize: (listener) => resize.listen(listener),
    onClose: (listener) => {
      onClose = listener;
      if (closed) listener();
    },
    async finish(outcome) {
      await Promise.all([stdout, stderr].map((stream) => stream && ended(stream)));
      const status = outcomeBytes(outcome, version);
      if (status.length > 0) await send(channel.error, status);
      webSocket.close(1000);
    },
  };
}

/** Ends a stream and waits until everything was handed on. */
export function ended(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableFinished) {
      resolve();
      return;
    }
    stream.once('close', () => resolve());
    stream.once('error', () => resolve());
    stream.end(() => resolve());
  });
}
