import type { GroupVersionKind } from '@pilothouse/apimachinery';
import { apiVersionOfKind } from './call.ts';
import type { ListMeta } from './views.ts';

// Hand-written wire pieces: a list and a watch event are made around item bytes that are already encoded,
// which a message codec would have to decode first.

const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** A length-delimited field: tag, length, bytes. */
function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function fieldHeader(number: number, length: number): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(length)]);
}

const text = (value: string): Buffer => Buffer.from(value, 'utf8');

/** The message inside a `k8s\0` envelope (runtime.Unknown.raw). */
export function unwrapEnvelope(bytes: Uint8Array): Uint8Array {
  let offset = 4;
  while (offset < bytes.length) {
    const tag = bytes[offset++] as number;
    let length = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[offset++] as number;
      length += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) break;
    }
    if (tag === 0x12) return bytes.subarray(offset, offset + length);
    offset += length;
  }
  return new Uint8Array(0);
}

/** The pieces around the items of a protobuf list: bytes before them, a header before each, bytes after. */
export function protobufListFrame(
  itemKind: GroupVersionKind,
  meta: ListMeta,
  itemLengths: readonly number[],
): { before: Buffer; itemHeader(length: number): Buffer; after: Buffer } {
  const metaParts = [field(1, text('')), field(2, text(meta.resourceVersion ?? '')), field(3, text(meta.continue ?? ''))];
  if (meta.remainingItemCount !== undefined) {
    metaParts.push(Buffer.concat([varint(4 * 8), varint(meta.remainingItemCount)]));
  }
  const listMeta = field(1, Buffer.concat(metaParts));
  let rawLength = listMeta.length;
  for (const length of itemLengths) rawLength += fieldHeader(2, length).length + length;
  const typeMeta = Buffer.concat([field(1, text(apiVersionOfKind(itemKind))), field(2, text(`${itemKind.kind}List`))]);
  return {
    before: Buffer.concat([magic, field(1, typeMeta), fieldHeader(2, rawLength), listMeta]),
    itemHeader: (length) => fieldHeader(2, length),
    after: Buffer.concat([field(3, text('')), field(4, text(''))]),
  };
}

/** A WatchEvent in a frame of its own: four bytes of length, big endian, then the message. */
export function protobufWatchFrame(type: string, object: Uint8Array): Buffer {
  const message = protobufWatchEvent(type, object);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}

export function protobufWatchEvent(type: string, object: Uint8Array): Buffer {
  return Buffer.concat([field(1, text(type)), field(2, field(1, object))]);
}
