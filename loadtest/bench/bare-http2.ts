import { once } from 'node:events';
import tls from 'node:tls';

/** Frame types and flags of RFC 9113 that a client needs. */
const frameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
const flag = { endStream: 1, ack: 1, endHeaders: 4 } as const;
const frameHeaderBytes = 9;
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const wideWindow = 2 ** 30;
/** Values of the first entries of HPACK's static table with the name `:status`, from index 8 on. */
const staticStatuses = [200, 204, 206, 304, 400, 404, 500];
const nothing = Buffer.alloc(0);

export interface BareConnectOptions {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Bytes that the server may send on one stream without being read; default: as good as unlimited. */
  readonly streamWindowBytes?: number;
}

/** What a stream tells. `data` gets views of the read buffer: copy what is kept. */
export interface BareStream {
  onHeaders(status: number): void;
  onData(piece: Buffer): void;
  /** Undefined: the answer is complete. */
  onEnd(error: Error | undefined): void;
}

/**
 * HTTP/2 by hand on one TLS socket, as little as a benchmark's client needs: its own work must weigh little beside the servers', whatever
 * their speed. It asks for no header compression table, so that the status can be read without decoding the other headers. Requests of one
 * tick leave in one write. Bodies must fit the window that the server gave.
 */
export class BareHttp2 {
  readonly #socket: tls.TLSSocket;
  readonly #streams = new Map<number, BareStream & { status: number }>();
  #nextId = 1;
  #rest: Buffer = nothing;
  #unread = 0;
  #out: Buffer[] = [];
  /** What may still be sent on the connection, bytes. */
  #sendWindow = 65_535;
  #error: Error | undefined;

  private constructor(socket: tls.TLSSocket) {
    this.#socket = socket;
    socket.on('data', (piece: Buffer) => this.#read(piece));
    const fail = (error?: Error): void => this.#fail(error ?? new Error('the connection closed'));
    socket.on('error', fail);
    socket.on('close', () => fail());
  }

  static async connect(options: BareConnectOptions): Promise<BareHttp2> {
    const { port, ca, cert, key, streamWindowBytes = wideWindow } = options;
    const socket = tls.connect({ host: '127.0.0.1', port, ca, cert, key, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    socket.setNoDelay(true);
    const settings = Buffer.alloc(18);
    // HEADER_TABLE_SIZE 0, ENABLE_PUSH 0, INITIAL_WINDOW_SIZE.
    settings.writeUInt16BE(1, 0);
    settings.writeUInt16BE(2, 6);
    settings.writeUInt16BE(4, 12);
    settings.writeUInt32BE(streamWindowBytes, 14);
    socket.write(
      Buffer.concat([preface, frame(frameType.settings, 0, 0, settings), windowUpdate(wideWindow)]),
    );
    return new BareHttp2(socket);
  }

  /** The number of the stream, for {@link reset}. `head` from {@link requestHead}. */
  open(head: Buffer, body: Buffer | undefined, stream: BareStream): number {
    const id = this.#nextId;
    this.#nextId += 2;
    if (this.#error) {
      stream.onEnd(this.#error);
      return id;
    }
    this.#streams.set(id, Object.assign(stream, { status: 0 }));
    const ends = body === undefined ? flag.endStream : 0;
    this.#send(frame(frameType.headers, flag.endHeaders | ends, id, head));
    if (body !== undefined) {
      this.#sendWindow -= body.length;
      if (this.#sendWindow < 0) this.#fail(new Error('the server does not open its window'));
      this.#send(frame(frameType.data, flag.endStream, id, body));
    }
    return id;
  }

  reset(id: number): void {
    this.#streams.delete(id);
    const code = Buffer.alloc(4);
    code[3] = 8;
    this.#send(frame(frameType.reset, 0, id, code));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #send(piece: Buffer): void {
    if (this.#out.length === 0) {
      queueMicrotask(() => {
        const pieces = this.#out;
        this.#out = [];
        this.#socket.write(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
      });
    }
    this.#out.push(piece);
  }

  #read(piece: Buffer): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    while (bytes.length - at >= frameHeaderBytes) {
      const length = bytes.readUIntBE(at, 3);
      const end = at + frameHeaderBytes + length;
      if (end > bytes.length) break;
      const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      this.#frame(
        bytes[at + 3] as number,
        bytes[at + 4] as number,
        id,
        bytes.subarray(at + frameHeaderBytes, end),
      );
      at = end;
    }
    this.#rest = at === bytes.length ? nothing : bytes.subarray(at);
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    const stream = this.#streams.get(id);
    switch (type) {
      case frameType.data:
        this.#unread += payload.length;
        if (this.#unread > wideWindow / 4) {
          this.#send(windowUpdate(this.#unread));
          this.#unread = 0;
        }
        if (payload.length > 0) stream?.onData(payload);
        if ((flags & flag.endStream) !== 0) this.#end(id, undefined);
        return;
      case frameType.headers:
        if (stream?.status === 0) {
          stream.status = statusOf(payload);
          stream.onHeaders(stream.status);
        }
        if ((flags & flag.endStream) !== 0) this.#end(id, undefined);
        return;
      case frameType.reset:
        this.#end(id, new Error(`the server reset the stream: ${payload.readUInt32BE(0)}`));
        return;
      case frameType.settings:
        if ((flags & flag.ack) === 0) this.#send(frame(frameType.settings, flag.ack, 0, nothing));
        return;
      case frameType.ping:
        if ((flags & flag.ack) === 0) this.#send(frame(frameType.ping, flag.ack, 0, payload));
        return;
      case frameType.windowUpdate:
        if (id === 0) this.#sendWindow += payload.readUInt32BE(0) & 0x7fff_ffff;
        return;
      case frameType.goAway:
        this.#fail(new Error('the server said GOAWAY'));
        return;
      default:
    }
  }

  #end(id: number, error: Error | undefined): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.onEnd(error);
  }

  #fail(error: Error): void {
    if (this.#error) return;
    this.#error = error;
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.onEnd(error);
  }
}

/** The header block of a request, without compression: the same bytes serve any number of requests. */
export function requestHead(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Buffer {
  const fields = Object.entries({
    ':method': method,
    ':scheme': 'https',
    ':path': path,
    ':authority': '127.0.0.1',
    ...headers,
  });
  // Each a literal without indexing and with a name of its own.
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  payload.copy(bytes, frameHeaderBytes);
  return bytes;
}

function windowUpdate(length: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(length, 0);
  return frame(frameType.windowUpdate, 0, 0, payload);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** `:status` is the first field of an answer. */
function statusOf(block: Buffer): number {
  let at = 0;
  // Changes of the table's size come before the fields.
  while (((block[at] ?? 0) & 0xe0) === 0x20) at++;
  const first = block[at++] ?? 0;
  if ((first & 0x80) !== 0) return staticStatuses[(first & 0x7f) - 8] ?? 0;
  const length = (block[at] ?? 0) & 0x7f;
  const isHuffman = ((block[at++] ?? 0) & 0x80) !== 0;
  const value = block.subarray(at, at + length);
  return Number(isHuffman ? huffmanDigits(value, 3) : value.toString('latin1'));
}

/** Digits in HPACK's Huffman code: 0, 1 and 2 have five bits, the others six. */
function huffmanDigits(bytes: Buffer, count: number): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  let digits = '';
  for (let at = 0; digits.length < count;) {
    const short = Number.parseInt(bits.slice(at, at + 5), 2);
    if (short < 3) {
      digits += String(short);
      at += 5;
    } else {
      digits += String(Number.parseInt(bits.slice(at, at + 6), 2) - 0b011001 + 3);
      at += 6;
    }
  }
  return digits;
}
