import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionError } from './protocol.ts';
import type { RequestHeaders } from './request-head.ts';
import { ServerConnection, type ServerConnectionOptions } from './server-connection.ts';
import type { ServerStream } from './server-stream.ts';
import { slabBytes } from './slabs.ts';
import { writePieces } from './write-pieces.ts';

/**
 * With more than this that the socket has not taken, no more content is made into frames: one output that is being written and one that waits. More
 * of them would be written together, and TLS would copy them into one piece first.
 */
const congestedBytes = slabBytes;
/** With this much nothing is read either: these can only be answers that the client asks for and does not take. */
const floodedBytes = 4 << 20;
/** Time for the last bytes of a connection that ends. */
const lingerMs = 2000;

export interface ServeSocketOptions extends ServerConnectionOptions {
  /** Calls back once after so many milliseconds; gives what cancels it. */
  readonly after: (delayMs: number, callback: () => void) => { cancel(): void };
  onRequest(stream: ServerStream, headers: RequestHeaders): void;
  /** Once: the socket is gone. */
  onClose?(error: ConnectionError | undefined): void;
}

/**
 * Serves HTTP/2 on a connected socket. What was read of it already is to be given back by `unshift` before. The caller looks after
 * {@link ServerConnection.tick}. All frames of one turn of the event loop leave in one write.
 */
export function serveSocket(socket: Duplex, options: ServeSocketOptions): ServerConnection {
  // Who takes what is written without copying it may still read it afterwards; the kernel and TLS do not.
  const reusesOutput = socket instanceof Socket;
  let isPlanned = false;
  let isEnded = false;
  let isCongested = false;
  let isReading = true;
  let failure: ConnectionError | undefined;
  const write = (): void => {
    isPlanned = false;
    const pieces = connection.takeOutput();
    if (socket.destroyed || pieces.length === 0) return;
    writePieces(socket, pieces, written);
    if (socket.writableLength <= congestedBytes) return;
    if (!isCongested) {
      isCongested = true;
      connection.setCongested(true);
    }
    if (isReading && socket.writableLength > floodedBytes) {
      isReading = false;
      socket.pause();
    }
  };
  const plan = (): void => {
    if (isPlanned) return;
    isPlanned = true;
    setImmediate(write);
  };
  const written = (error?: Error | null): void => {
    if (reusesOutput && error == null) connection.outputSent();
    // The next output is made while the last one is being written, so that the socket never waits for it.
    if (socket.writableLength <= congestedBytes) relieve();
  };
  const relieve = (): void => {
    if (!isCongested) return;
    isCongested = false;
    connection.setCongested(false);
  };
  const connection = new ServerConnection(
    { ...options, reusesOutput },
    {
      onRequest: options.onRequest,
      onOutput: plan,
      onEnd(error) {
        failure = error;
        isEnded = true;
        if (socket.destroyed) return;
        write();
        socket.end();
        const timer = options.after(lingerMs, () => socket.destroy());
        socket.once('close', () => timer.cancel());
      },
    },
  );
  connection.owner = socket;
  socket.on('data', (bytes: Buffer) => {
    connection.receive(bytes);
    // Behind whatever the requests planned for the end of this turn, so that what comes of it leaves in this one and not in the next.
    plan();
  });
  socket.on('drain', () => {
    relieve();
    if (!isReading) {
      isReading = true;
      socket.resume();
    }
  });
  // A client that has said all may still take answers, but no client of HTTP/2 does: its connection is both directions.
  socket.on('end', () => {
    connection.closed();
    socket.end();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (!isEnded) connection.closed();
    options.onClose?.(failure);
  });
  return connection;
}
