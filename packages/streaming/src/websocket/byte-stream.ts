import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/** The binary messages of a WebSocket as one byte stream: what the `SPDY/3.1+…` tunnels are. */
export function webSocketBytes(webSocket: WebSocket): Duplex {
  const stream = new Duplex({
    read: () => webSocket.resume(),
    write(data: Buffer, _encoding, callback) {
      if (webSocket.readyState === webSocket.OPEN) webSocket.send(data, { binary: true }, () => callback());
      else callback();
    },
    final(callback) {
      webSocket.close(1000);
      callback();
    },
    destroy(error, callback) {
      webSocket.terminate();
      callback(error);
    },
  });
  webSocket.on('message', (data: Buffer) => {
    if (!stream.destroyed && !stream.readableEnded && !stream.push(data)) webSocket.pause();
  });
  webSocket.once('close', () => {
    if (!stream.readableEnded && !stream.destroyed) stream.push(null);
    if (!stream.writableEnded) stream.end();
  });
  return stream;
}
