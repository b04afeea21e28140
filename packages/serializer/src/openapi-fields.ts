import type { Steps } from '@pilothouse/base';
import { isJsonObject, type JsonObject } from './json-shape.ts';
import { encodeYaml } from './yaml/encode.ts';

// Parts of gnostic's OpenAPI messages, as both versions of the format write them.

/** Encoded fields. */
export type Bytes = Buffer;

export const none = Buffer.alloc(0);

export function varint(value: number): Bytes {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** A length-delimited field, written even when empty. */
export const block = (field: number, body: Bytes): Bytes =>
  Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);

/** proto3: an empty text is not written. */
export const text = (field: number, value: unknown): Bytes =>
  typeof value === 'string' && value !== '' ? block(field, Buffer.from(value)) : none;

export const texts = (field: number, values: unknown): Bytes =>
  Array.isArray(values)
    ? Buffer.concat(values.map((value) => block(field, Buffer.from(String(value)))))
    : none;

export const flag = (field: number, value: unknown): Bytes =>
  value === true ? Buffer.concat([varint(field * 8), Buffer.from([1])]) : none;

export function double(field: number, value: unknown): Bytes {
  if (typeof value !== 'number' || value === 0) return none;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([varint(field * 8 + 1), bytes]);
}

export const integer = (field: number, value: unknown): Bytes =>
  typeof value === 'number' && value > 0 ? Buffer.concat([varint(field * 8), varint(value)]) : none;

/** A message field, absent when its value is. */
export const message = (field: number, value: unknown, body: (value: JsonObject) => Bytes): Bytes =>
  isJsonObject(value) ? block(field, body(value)) : none;

/** A map as repeated {name = 1, value = 2}. */
export const named = (field: number, value: unknown, body: (value: JsonObject) => Bytes): Bytes =>
  isJsonObject(value)
    ? Buffer.concat(
        Object.entries(value).map(([name, item]) =>
          block(field, Buffer.concat([text(1, name), block(2, body(item as JsonObject))])),
        ),
      )
    : none;

/** {@link named} as the one field of a message field, in steps of a member. */
export function* namedSteps(
  field: number,
  value: unknown,
  inner: number,
  body: (value: JsonObject) => Bytes,
): Steps<Bytes> {
  if (!isJsonObject(value)) return none;
  const pieces: Bytes[] = [];
  for (const [name, item] of Object.entries(value)) {
    pieces.push(block(inner, Buffer.concat([text(1, name), block(2, body(item as JsonObject))])));
    yield;
  }
  return block(field, Buffer.concat(pieces));
}

/** Any: only the YAML text is filled in. */
export const any = (value: unknown): Bytes => text(2, encodeYaml(value));

/** `x-…` members as repeated NamedAny. */
export const extensions = (field: number, value: JsonObject): Bytes =>
  Buffer.concat(
    Object.entries(value)
      .filter(([name]) => name.startsWith('x-'))
      .map(([name, item]) => block(field, Buffer.concat([text(1, name), block(2, any(item))]))),
  );

export const each = (value: unknown, body: (item: JsonObject) => Bytes): Bytes =>
  Array.isArray(value) ? Buffer.concat((value as JsonObject[]).map(body)) : none;
