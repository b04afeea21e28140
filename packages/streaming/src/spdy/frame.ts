/** SPDY/3.1 framing (draft 3.1, section 2.2): bytes to frames and back. Header blocks stay as they are on the wire. */

export const frameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

/** Flag of DATA, SYN_STREAM, SYN_REPLY and HEADERS: the sender will send no more on this stream. */
export const flagFin = 0x01;

/** Status codes of RST_STREAM, section 2.6.3. */
export const resetStatus = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
  frameTooLarge: 11,
} as const;

const version = 3;
const headBytes = 8;

export type SpdyFrame =
  | {
      readonly type: 'data';
      readonly streamId: number;
      readonly fin: boolean;
      readonly data: Buffer;
    }
  | {
      readonly type: 'synStream';
      readonly streamId: number;
      readonly associatedId: number;
      readonly priority: number;
      readonly fin: boolean;
      readonly block: Buffer;
    }
  | {
      readonly type: 'synReply' | 'headers';
      readonly streamId: number;
      readonly fin: boolean;
      readonly block: Buffer;
    }
  | { readonly type: 'rstStream'; readonly streamId: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goAway'; readonly lastStreamId: number; readonly status: number }
  | { readonly type: 'windowUpdate'; readonly streamId: number; readonly delta: number }
  /** SETTINGS and whatever this codec does not know: told, not understood. */
  | { readonly type: 'other'; readonly control: number; readonly flags: number; readonly data: Buffer };

export class SpdyError extends Error {
  override readonly name = 'SpdyError';
}

function control(type: number, flags: number, payload: readonly Uint8Array[]): Buffer {
  const length = payload.reduce((sum, each) => sum + each.length, 0);
  const head = Buffer.alloc(headBytes);
  head.writeUInt16BE(0x8000 | version, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(((flags << 24) | length) >>> 0, 4);
  return Buffer.concat([head, ...payload]);
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32BE(value >>> 0, index * 4));
  return bytes;
}

/** A frame's bytes. Data and header blocks may have up to 2^24 - 1 bytes, SYN_STREAM's 10 less. */
export function encodeFrame(frame: SpdyFrame): Buffer {
  switch (frame.type) {
    case 'data': {
      const head = numbers(
        frame.streamId & 0x7fffffff,
        ((frame.fin ? flagFin : 0) << 24) | frame.data.length,
      );
      return Buffer.concat([head, frame.data]);
    }
    case 'synStream':
      return control(frameType.synStream, frame.fin ? flagFin : 0, [
        numbers(frame.streamId, frame.associatedId),
        Buffer.from([frame.priority << 5, 0]),
        frame.block,
      ]);
    case 'synReply':
    case 'headers':
      return control(frameType[frame.type], frame.fin ? flagFin : 0, [numbers(frame.streamId), frame.block]);
    case 'rstStream':
      return control(frameType.rstStream, 0, [numbers(frame.streamId, frame.status)]);
    case 'ping':
      return control(frameType.ping, 0, [numbers(frame.id)]);
    case 'goAway':
      return control(frameType.goAway, 0, [numbers(frame.lastStreamId, frame.status)]);
    case 'windowUpdate':
      return control(frameType.windowUpdate, 0, [numbers(frame.streamId, frame.delta)]);
    case 'other':
      return control(frame.control, frame.flags, [frame.data]);
  }
}

/**
 * Cuts a byte stream into frames. `push` gives those that are complete; the rest waits. Throws SpdyError on another version of the
 * protocol, a frame that is shorter than its type needs, or one longer than `maxBytes`.
 */
export class FrameDecoder {
  readonly #maxBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(maxBytes = 1 << 22) {
    this.#maxBytes = maxBytes;
  }

  push(bytes: Buffer): SpdyFrame[] {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    const frames: SpdyFrame[] = [];
    while (this.#pendingBytes >= headBytes) {
      const head = this.#peek(headBytes);
      const length = head.readUInt32BE(4) & 0xffffff;
      if (length > this.#maxBytes)
        throw new SpdyError(`Frame of ${length} bytes is too long: want at most ${this.#maxBytes}`);
      if (this.#pendingBytes < headBytes + length) break;
      const whole = this.#peek(headBytes + length);
      this.#pendingBytes -= whole.length;
      const rest = this.#pending[0] as Buffer;
      if (rest.length > whole.length) this.#pending[0] = rest.subarray(whole.length);
      else this.#pending.shift();
      frames.push(decodeFrame(whole));
    }
    return frames;
  }

  /** The first `length` bytes in one piece. */
  #peek(length: number): Buffer {
    if ((this.#pending[0] as Buffer).length < length) this.#pending = [Buffer.concat(this.#pending)];
    return (this.#pending[0] as Buffer).subarray(0, length);
  }
}

function decodeFrame(bytes: Buffer): SpdyFrame {
  const first = bytes.readUInt32BE(0);
  const flags = bytes[4] as number;
  const fin = (flags & flagFin) !== 0;
  const payload = bytes.subarray(headBytes);
  if (first >>> 31 === 0) return { type: 'data', streamId: first, fin, data: payload };
  const found = (first >>> 16) & 0x7fff;
  if (found !== version) throw new SpdyError(`SPDY version ${found} is not supported: want ${version}`);
  const type = first & 0xffff;
  const need = (count: number): void => {
    if (payload.length < count)
      throw new SpdyError(`Control frame ${type} has ${payload.length} bytes: want at least ${count}`);
  };
  const id = (): number => payload.readUInt32BE(0) & 0x7fffffff;
  switch (type) {
    case frameType.synStream:
      need(10);
      return {
        type: 'synStream',
        streamId: id(),
        associatedId: payload.readUInt32BE(4) & 0x7fffffff,
        priority: (payload[8] as number) >>> 5,
        fin,
        block: payload.subarray(10),
      };
    case frameType.synReply:
    case frameType.headers:
      need(4);
      return {
        type: type === frameType.synReply ? 'synReply' : 'headers',
        streamId: id(),
        fin,
        block: payload.subarray(4),
      };
    case frameType.rstStream:
      need(8);
      return { type: 'rstStream', streamId: id(), status: payload.readUInt32BE(4) };
    case frameType.ping:
      need(4);
      return { type: 'ping', id: payload.readUInt32BE(0) };
    case frameType.goAway:
      need(8);
      return { type: 'goAway', lastStreamId: id(), status: payload.readUInt32BE(4) };
    case frameType.windowUpdate:
      need(8);
      return { type: 'windowUpdate', streamId: id(), delta: payload.readUInt32BE(4) & 0x7fffffff };
    default:
      return { type: 'other', control: type, flags, data: payload };
  }
}
