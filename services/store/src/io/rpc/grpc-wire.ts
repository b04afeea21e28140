import type { TLSSocket } from 'node:tls';
import { headerBlock, type ServerStream } from '@pilothouse/http2';
import { Reader, WireError, type MessageCodec, type MessageInput, type Writer } from '@pilothouse/proto';
import { grpcStatus } from '../../core/index.ts';

/** A failure with a gRPC status of its own, where no {@link StoreError} fits. */
export class GrpcError extends Error {
  readonly grpcStatus: number;
  constructor(status: number, message: string) {
    super(message);
    this.grpcStatus = status;
  }
}

const head = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
] as const;

/** The header block that begins every answer, and the one that ends those that went well. */
export const responseHead = headerBlock(head);
export const okTrailers = headerBlock([['grpc-status', '0']]);

/** The block that ends an answer which went wrong. */
export function errorTrailers(status: number, message: string): Buffer {
  return headerBlock([
    ['grpc-status', String(status)],
    ['grpc-message', encodeGrpcMessage(message)],
  ]);
}

/** The one message of a request. Throws WireError. */
export function readSingle<T>(codec: MessageCodec<T>, bytes: Buffer | undefined): T {
  if (bytes === undefined || bytes.length < 5) throw new WireError('Message frame is incomplete');
  if (bytes[0] !== 0)
    throw new GrpcError(grpcStatus.unimplemented, 'grpc: Decompressor is not installed for grpc-encoding');
  const end = 5 + bytes.readUInt32BE(1);
  if (end !== bytes.length) throw new WireError('Message frame has the wrong length');
  return codec.read(new Reader(bytes, 5, end), end);
}

/** The frame of a message. */
export function messageFrame<T>(
  codec: MessageCodec<T>,
  message: MessageInput<T>,
  writer: Writer,
): Uint8Array {
  writer.reset();
  writer.skip(5);
  codec.write(message, writer);
  const length = writer.length - 5;
  writer.patch(0, 0);
  writer.patch(1, length >>> 24);
  writer.patch(2, length >>> 16);
  writer.patch(3, length >>> 8);
  writer.patch(4, length);
  return writer.finish();
}

/** Ends a call that has sent nothing yet. */
export function fail(stream: ServerStream, status: number, message: string): void {
  if (stream.isClosed || stream.hasHeaders) return;
  stream.respond(
    headerBlock([...head, ['grpc-status', String(status)], ['grpc-message', encodeGrpcMessage(message)]]),
    true,
  );
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

/** Clients send the same timeout again and again. */
let lastTimeout: { readonly text: string; readonly ms: number | undefined } = { text: '', ms: undefined };

export function parseTimeout(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  if (header === lastTimeout.text) return lastTimeout.ms;
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  const ms =
    match === null
      ? undefined
      : Math.min(2 ** 31 - 1, Number(match[1]) * (timeoutUnitMs[match[2] as string] as number));
  lastTimeout = { text: header, ms };
  return ms;
}

export function commonNameOf(stream: ServerStream): string | undefined {
  const socket = stream.connection.owner as TLSSocket | undefined;
  if (socket === undefined || typeof socket.getPeerCertificate !== 'function') return undefined;
  if (!socket.authorized) return undefined;
  const name = socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' && name !== '' ? name : undefined;
}
