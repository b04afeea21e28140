import http2 from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { Reader, WireError, type MessageCodec } from '@pilothouse/proto';
import { grpcStatus } from '../../core/index.ts';

/** A failure with a gRPC status of its own, where no {@link StoreError} fits. */
export class GrpcError extends Error {
  readonly grpcStatus: number;
  constructor(status: number, message: string) {
    super(message);
    this.grpcStatus = status;
  }
}

export const responseHeaders = { ':status': 200, 'content-type': 'application/grpc' } as const;

/** The one message of a request. Throws WireError. */
export function readSingle<T>(codec: MessageCodec<T>, bytes: Buffer | undefined): T {
  if (bytes === undefined || bytes.length < 5) throw new WireError('Message frame is incomplete');
  if (bytes[0] !== 0)
    throw new GrpcError(grpcStatus.unimplemented, 'grpc: Decompressor is not installed for grpc-encoding');
  const end = 5 + bytes.readUInt32BE(1);
  if (end !== bytes.length) throw new WireError('Message frame has the wrong length');
  return codec.read(new Reader(bytes, 5, end), end);
}

/** Ends a call that has sent nothing yet. */
export function fail(stream: http2.ServerHttp2Stream, status: number, message: string): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond(
    { ...responseHeaders, 'grpc-status': String(status), 'grpc-message': encodeGrpcMessage(message) },
    { endStream: true },
  );
  endRequest(stream);
}

/** Tells a client that still sends to stop: the answer is complete. */
export function endRequest(stream: http2.ServerHttp2Stream): void {
  setImmediate(() => {
    if (!stream.closed && !stream.destroyed && !stream.readableEnded)
      stream.close(http2.constants.NGHTTP2_NO_ERROR);
  });
}

/** grpc-message: UTF-8, percent-encoded outside printable ASCII. */
export function encodeGrpcMessage(text: string): string {
  // eslint-disable-next-line no-control-regex
  if (/^[ -$&-~]*$/.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

const timeoutUnitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000001,
};

export function parseTimeout(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  if (match === null) return undefined;
  return Math.min(2 ** 31 - 1, Number(match[1]) * (timeoutUnitMs[match[2] as string] as number));
}

export function commonNameOf(stream: http2.ServerHttp2Stream): string | undefined {
  const socket = stream.session?.socket as TLSSocket | undefined;
  if (socket === undefined || typeof socket.getPeerCertificate !== 'function') return undefined;
  if (!socket.authorized) return undefined;
  const name = socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' && name !== '' ? name : undefined;
}
