import { Duplex } from 'node:stream';
import type { SpdyHeaders } from './header-block.ts';

/** What a stream asks of its connection. Every call after the connection ended is ignored. */
export interface StreamPort {
  sendData(streamId: number, data: Buffer, fin: boolean, done: () => void): void;
  sendReset(streamId: number): void;
  /** The reader has room again, or has none. */
  setHungry(streamId: number, hungry: boolean): void;
  forget(streamId: number): void;
}

/** One stream: reading ends when the peer half-closes, `end` half-closes our side, `destroy` resets it. */
export class SpdyStream extends Duplex {
  readonly streamId: number;
  readonly headers: SpdyHeaders;
  readonly #port: StreamPort;
  #localEnd = false;
  #remoteEnd = false;

  constructor(streamId: number, headers: SpdyHeaders, port: StreamPort) {
    super({ allowHalfOpen: true, autoDestroy: true, emitClose: true });
    this.streamId = streamId;
    this.headers = headers;
    this.#port = port;
  }

  /** A frame's data from the peer. */
  receive(data: Buffer, fin: boolean): void {
    if (this.#remoteEnd || this.destroyed) return;
    if (data.length > 0 && !this.push(data)) this.#port.setHungry(this.streamId, false);
    if (fin) {
      this.#remoteEnd = true;
      this.push(null);
    }
  }

  /** The peer reset the stream, or the connection is gone. */
  cut(): void {
    this.#localEnd = true;
    if (!this.#remoteEnd) {
      this.#remoteEnd = true;
      this.push(null);
    }
    this.#port.setHungry(this.streamId, true);
    // Whoever reads still gets what came before; writes go nowhere.
    if (!this.writableFinished) this.end();
  }

  override _read(): void {
    this.#port.setHungry(this.streamId, true);
  }

  override _write(data: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#localEnd) callback();
    else this.#port.sendData(this.streamId, data, false, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#localEnd) callback();
    else {
      this.#localEnd = true;
      this.#port.sendData(this.streamId, Buffer.alloc(0), true, callback);
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#localEnd || !this.#remoteEnd) this.#port.sendReset(this.streamId);
    this.#localEnd = true;
    this.#remoteEnd = true;
    this.#port.forget(this.streamId);
    callback(error);
  }
}
