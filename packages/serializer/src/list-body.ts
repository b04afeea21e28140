import { apiVersionOf } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';

import { builtinProtobuf, protobufMagic } from './protobuf/codec.ts';
import { encodeJson } from './json/encode.ts';
import { goJsonString } from './json/text.ts';

/** Head of a List: everything but the items. */
export interface ListHead {
  readonly group: string;
  readonly version: string;
  /** With `List` at the end. */
  readonly kind: string;
  readonly metadata: {
    readonly resourceVersion?: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

const listMeta = (() => {
  const schema = builtinSchemas.message('k8s.io.apimachinery.pkg.apis.meta.v1.ListMeta');
  if (!schema) throw new Error('Cannot find the schema of ListMeta');
  return schema;
})();

/** First bytes of every object of a kind as encodeJson writes it, for {@link jsonListItem}. */
export function jsonTypeMetaPrefix(group: string, version: string, kind: string): Buffer {
  return Buffer.from(
    `{"kind":${goJsonString(kind)},"apiVersion":${goJsonString(apiVersionOf(group, version))},`,
  );
}

const openBrace = Buffer.from('{');

/** The item's JSON without apiVersion and kind, which built-in kinds do not have inside a List; two pieces, no copy. */
export function jsonListItem(json: Buffer, prefix: Buffer): [Buffer, Buffer] {
  return [openBrace, json.subarray(prefix.length)];
}

/** What comes before, between and after the items of a List in JSON. */
export function jsonListFrame(head: ListHead): { before: string; separator: string; after: string } {
  const type = `"kind":${goJsonString(head.kind)},"apiVersion":${goJsonString(apiVersionOf(head.group, head.version))}`;
  return {
    before: `{${type},"metadata":${encodeJson(head.metadata, listMeta)},"items":[`,
    separator: ',',
    after: ']}\n',
  };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

const varintLength = (value: number): number => {
  let count = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) count++;
  return count;
};

function lengthDelimited(field: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([field * 8 + 2]), varint(body.length), body]);
}

/**
 * A List in protobuf around encoded items. `itemLengths` are the lengths of the bare messages (the envelope's `raw`), because the
 * length of the whole comes first. Write `before`, then for each item `itemPrefix(length)` and its bytes, then `after`.
 */
export function protobufListFrame(
  head: ListHead,
  itemLengths: Iterable<number>,
): { before: Buffer; itemPrefix: (length: number) => Buffer; after: Buffer; length: number } {
  const meta = lengthDelimited(1, builtinProtobuf.encodeMessage(head.metadata, listMeta));
  let items = 0;
  for (const length of itemLengths) items += 1 + varintLength(length) + length;
  const type = lengthDelimited(
    1,
    lengthDelimited(1, Buffer.from(apiVersionOf(head.group, head.version))),
    lengthDelimited(2, Buffer.from(head.kind)),
  );
  const rawLength = meta.length + items;
  const before = Buffer.concat([protobufMagic, type, Buffer.from([0x12]), varint(rawLength), meta]);
  const after = Buffer.from([0x1a, 0, 0x22, 0]);
  return {
    before,
    itemPrefix: (length) => Buffer.concat([Buffer.from([0x12]), varint(length)]),
    after,
    length: before.length + items + after.length,
  };
}

/** One line of a JSON watch stream around an object's JSON. */
export function jsonWatchEvent(type: string, object: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`{"type":${JSON.stringify(type)},"object":`),
    object,
    Buffer.from('}\n'),
  ]);
}

/** One frame of a protobuf watch stream: length (4 bytes, big endian), then a bare WatchEvent around a whole document. */
export function protobufWatchEvent(type: string, document: Buffer): Buffer {
  const event = Buffer.concat([
    lengthDelimited(1, Buffer.from(type)),
    lengthDelimited(2, lengthDelimited(1, document)),
  ]);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(event.length);
  return Buffer.concat([length, event]);
}
