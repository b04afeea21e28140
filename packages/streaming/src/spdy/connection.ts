import type { Duplex } from 'node:stream';
import type { SpdyFrame } from './frame.ts';
import { encodeFrame, FrameDecoder, resetStatus, SpdyError } from './frame.ts';
import type { SpdyHeaders } from './header-block.ts';
import { HeaderPacker, HeaderUnpacker } from './header-block.ts';
import type { StreamPort } from './stream.ts';
import { SpdyStream } from './stream.ts';

const dataBytesMax = 64 * 1024;
const streamsMax = 1000;

export interface SpdyConnectionOptions {
  readonly role: 'client' | 'server';
  /** A stream that the peer opened; already answered with SYN_REPLY. Absent: such streams are refused. */
  onStream?(stream: SpdyStream): void;
  /** Once, when no more streams can come. */
  onClose?(): void;
}

/**
 * SPDY/3.1 over a connection that was upgraded to it. There is no flow control of SPDY's own (the peers of these protocols neither send
 * nor expect WINDOW_UPDATE): a stream whose reader has no room holds back the whole connection, as TCP does. Streams that wait for each
 * other must therefore be read independently.
 */
export class SpdyConnection {
  readonly #socket: Duplex;
  readonly #options: SpdyConnectionOptions;
  readonly #decoder = new FrameDecoder();
  readonly #packer = new HeaderPacker();
  readonly #unpacker = new HeaderUnpacker();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #full = new Set<number>();
  readonly #waiting = new Map<number, (error?: Error) => void>();
  readonly #queue: SpdyFrame[] = [];
  readonly #port: StreamPort;
  #busy = false;
  #endPending = false;
  #closed = false;
  #goingAway = false;
  #nextId: number;
  #lastPeerId = 0;

  constructor(socket: Duplex, options: SpdyConnectionOptions, head: Buffer = Buffer.alloc(0)) {
    this.#socket = socket;
    this.#options = options;
    this.#nextId = options.role === 'client' ? 1 : 2;
    this.#port = {
      sendData: (streamId, data, fin, done) => this.#sendData(streamId, data, fin, done),
      sendReset: (streamId) => this.#send({ type: 'rstStream', streamId, status: resetStatus.cancel }),
      setHungry: (streamId, hungry) => this.#setHungry(streamId, hungry),
      forget: (streamId) => {
        this.#streams.delete(streamId);
        this.#setHungry(streamId, true);
      },
    };
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.once('end', () => this.#ended());
    socket.once('close', () => this.#ended());
    socket.on('error', () => this.#ended());
    if (head.length > 0) this.#receive(head);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Opens a stream and waits for the peer's SYN_REPLY. Rejects with SpdyError when it is refused or the connection ends. */
  async open(headers: SpdyHeaders): Promise<SpdyStream> {
    if (this.#closed) throw new SpdyError('The connection is closed');
    const streamId = this.#nextId;
    this.#nextId += 2;
    const stream = new SpdyStream(streamId, headers, this.#port);
    this.#streams.set(streamId, stream);
    const replied = new Promise<void>((resolve, reject) => {
      this.#waiting.set(streamId, (error) => (error ? reject(error) : resolve()));
    });
    this.#send({
      type: 'synStream',
      streamId,
      associatedId: 0,
      priority: 0,
      fin: false,
      block: this.#packer.pack(headers),
    });
    await replied;
    return stream;
  }

  /** Says goodbye after everything written so far; the socket ends with it. */
  close(): void {
    if (this.#closed || this.#goingAway) return;
    this.#goingAway = true;
    this.#send({ type: 'goAway', lastStreamId: this.#lastPeerId, status: 0 });
    this.#socket.end();
  }

  /** Ends at once; what has arrived and was not read yet may be lost. */
  destroy(): void {
    this.#queue.length = 0;
    this.#socket.destroy();
    this.#ended();
  }

  #receive(bytes: Buffer): void {
    try {
      this.#queue.push(...this.#decoder.push(bytes));
    } catch {
      this.destroy();
      return;
    }
    if (!this.#busy) void this.#work();
  }

  /** Frames one after the other: a header block must be unpacked before the next frame means anything. */
  async #work(): Promise<void> {
    this.#busy = true;
    this.#socket.pause();
    try {
      for (let frame = this.#queue.shift(); frame; frame = this.#queue.shift()) {
        if (frame.type === 'synStream' || frame.type === 'synReply' || frame.type === 'headers') {
          const headers = await this.#unpacker.unpack(frame.block);
          if (!this.#closed) this.#onHeaders(frame, headers);
        } else this.#onFrame(frame);
      }
    } catch {
      this.destroy();
    } finally {
      this.#busy = false;
      if (this.#endPending) this.#ended();
      else if (this.#full.size === 0) this.#socket.resume();
    }
  }

  #onHeaders(frame: SpdyFrame & { type: 'synStream' | 'synReply' | 'headers' }, headers: SpdyHeaders): void {
    if (frame.type === 'synStream') {
      const { onStream } = this.#options;
      const odd = frame.streamId % 2 === 1;
      const ours = this.#options.role === 'client' ? odd : !odd;
      if (ours || this.#streams.has(frame.streamId) || frame.streamId === 0) {
        this.#reset(frame.streamId, resetStatus.protocolError);
        return;
      }
      if (!onStream || this.#goingAway || this.#streams.size >= streamsMax) {
        this.#reset(frame.streamId, resetStatus.refusedStream);
        return;
      }
      this.#lastPeerId = frame.streamId;
      const stream = new SpdyStream(frame.streamId, headers, this.#port);
      this.#streams.set(frame.streamId, stream);
      stream.on('error', () => undefined);
      this.#send({
        type: 'synReply',
        streamId: frame.streamId,
        fin: false,
        block: this.#packer.pack({}),
      });
      onStream(stream);
      if (frame.fin) stream.receive(Buffer.alloc(0), true);
      return;
    }
    if (frame.type === 'synReply') {
      this.#waiting.get(frame.streamId)?.();
      this.#waiting.delete(frame.streamId);
    }
    if (frame.fin) this.#streams.get(frame.streamId)?.receive(Buffer.alloc(0), true);
  }

  #onFrame(frame: SpdyFrame): void {
    switch (frame.type) {
      case 'data': {
        const stream = this.#streams.get(frame.streamId);
        if (stream) stream.receive(frame.data, frame.fin);
        else if (!frame.fin) this.#reset(frame.streamId, resetStatus.invalidStream);
        return;
      }
      case 'rstStream': {
        this.#waiting.get(frame.streamId)?.(new SpdyError(`The peer refused the stream (${frame.status})`));
        this.#waiting.delete(frame.streamId);
        this.#streams.get(frame.streamId)?.cut();
        return;
      }
      case 'ping': {
        // Only the peer's pings are answered: odd ids are a client's, even ones a server's.
        const odd = frame.id % 2 === 1;
        if (odd === (this.#options.role === 'server')) this.#send(frame);
        return;
      }
      case 'goAway':
        this.#goingAway = true;
        return;
      default:
    }
  }

  #sendData(streamId: number, data: Buffer, fin: boolean, done: () => void): void {
    let at = 0;
    const next = (): void => {
      const part = data.subarray(at, at + dataBytesMax);
      at += part.length;
      const last = at >= data.length;
      this.#send({ type: 'data', streamId, fin: fin && last, data: part }, last ? done : next);
    };
    next();
  }

  #send(frame: SpdyFrame, done?: () => void): void {
    if (this.#closed || this.#socket.destroyed || this.#socket.writableEnded) done?.();
    else this.#socket.write(encodeFrame(frame), () => done?.());
  }

  #reset(streamId: number, status: number): void {
    this.#send({ type: 'rstStream', streamId, status });
  }

  #setHungry(streamId: number, hungry: boolean): void {
    if (!hungry) {
      this.#full.add(streamId);
      this.#socket.pause();
    } else if (this.#full.delete(streamId) && this.#full.size === 0 && !this.#busy) this.#socket.resume();
  }

  #ended(): void {
    if (this.#closed) return;
    // What has arrived is still delivered.
    this.#endPending = this.#busy;
    if (this.#busy) return;
    this.#closed = true;
    for (const fail of this.#waiting.values()) fail(new SpdyError('The connection is closed'));
    this.#waiting.clear();
    for (const stream of this.#streams.values()) stream.cut();
    this.#unpacker.close();
    this.#options.onClose?.();
    this.#socket.end();
  }
}
