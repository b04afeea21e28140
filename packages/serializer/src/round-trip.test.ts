import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { builtinSchemas } from '@pilothouse/api';
import type { FieldSchema, MessageSchema, TypeRef } from '@pilothouse/apimachinery';

import { builtinProtobuf, decodeJson, encodeJson, normalize } from './index.ts';

type Json = Record<string, unknown>;

/** Deterministic values: `seed` moves through zero, negative and odd ones. */
function sampleValue(type: TypeRef, depth: number, seed: number): unknown {
  switch (type.kind) {
    case 'scalar':
      switch (type.scalar) {
        case 'string':
          return ['text', 'ünï–<&>', 'a\nb"\\', '𝒳 y'][seed % 4];
        case 'bool':
          return seed % 3 !== 0;
        case 'int32':
          return [1, -1, 300, 2147483647, -2147483648][seed % 5];
        case 'int64':
          return [1, -1, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER, -(2 ** 52)][seed % 5];
        case 'double':
          return [0.5, -1.25e10, 3][seed % 3];
        case 'bytes':
          return Buffer.from([seed % 256, 0, 255]).toString('base64');
      }
    // eslint-disable-next-line no-fallthrough -- every scalar has returned
    case 'special':
      return sampleSpecial(type.special, type.message, depth, seed);
    case 'message':
      return sampleMessage(type.message, depth + 1, seed);
    case 'list':
      return [sampleValue(type.element, depth, seed), sampleValue(type.element, depth, seed + 1)];
    case 'map':
      return { b: sampleValue(type.value, depth, seed), 'a.b/c': sampleValue(type.value, depth, seed + 1) };
  }
}

function sampleSpecial(special: string, message: string, depth: number, seed: number): unknown {
  const props = `${message.slice(0, message.lastIndexOf('.'))}.JSONSchemaProps`;
  switch (special) {
    case 'Quantity':
      return ['100m', '1Gi', '2', '1500'][seed % 4];
    case 'IntOrString':
      return [8080, 'http', -5, '25%'][seed % 4];
    case 'Time':
      return '2024-02-29T23:59:59Z';
    case 'MicroTime':
      return '2024-02-29T23:59:59.000123Z';
    case 'Duration':
      return ['1h0m30s', '1.5s', '250ms', '0s'][seed % 4];
    case 'RawExtension':
    case 'FieldsV1':
      return { 'f:spec': { '.': {}, n: [1, null, 'x'] } };
    case 'JSON':
      return [5, 'x', { a: [true] }, false][seed % 4];
    case 'StringList':
      return ['get', 'list'];
    case 'JSONSchemaPropsOrArray':
      return seed % 2 ? sampleMessage(props, depth + 1, seed) : [sampleMessage(props, depth + 1, seed)];
    case 'JSONSchemaPropsOrBool':
      return seed % 2 ? sampleMessage(props, depth + 1, seed) : seed % 4 === 0;
    case 'JSONSchemaPropsOrStringArray':
      return seed % 2 ? sampleMessage(props, depth + 1, seed) : ['x', 'y'];
    default:
      return undefined;
  }
}

const depthMax = 6;
/** Messages being made: one that contains itself stays empty inside, or JSON schemas would grow without end. */
const open = new Set<string>();

function sampleMessage(name: string, depth: number, seed: number): Json {
  const out: Json = {};
  if (depth > depthMax || open.has(name)) return out;
  open.add(name);
  const add = (field: FieldSchema, index: number): void => {
    if (field.inline && field.type.kind === 'message')
      builtinSchemas.message(field.type.message)?.fields.forEach(add);
    else out[field.name] = sampleValue(field.type, depth, seed + index);
  };
  builtinSchemas.message(name)?.fields.forEach(add);
  open.delete(name);
  return out;
}

function* plainSchemas(): Generator<MessageSchema> {
  for (const name of builtinSchemas.messageNames()) {
    const schema = builtinSchemas.message(name) as MessageSchema;
    // Messages behind hand-made JSON are covered where they are used; Timestamp and Unknown never appear in JSON.
    if (schema.special || /\.(Timestamp|Unknown)$/.test(name)) continue;
    yield schema;
  }
}

const hasProtobuf = (schema: MessageSchema): boolean =>
  schema.fields.every((field) => field.number > 0) && !schema.name.includes('.meta.v1.Table');

describe('round trips of every type', () => {
  it('normalising is idempotent and JSON gives the same object again', () => {
    let count = 0;
    for (const schema of plainSchemas()) {
      for (const seed of [0, 7]) {
        const object = normalize(sampleMessage(schema.name, 0, seed), schema);
        assert.deepEqual(normalize(object, schema), object, schema.name);
        const text = encodeJson(object, schema);
        const back = decodeJson(text, schema, { strict: true });
        assert.deepEqual(back.object, object, schema.name);
        assert.deepEqual(back.strictErrors, [], schema.name);
        assert.equal(encodeJson(back.object, schema), text, schema.name);
        count++;
      }
    }
    assert.ok(count > 1800, `${String(count)} samples`);
  });

  it('protobuf gives the same object again, and the same bytes', () => {
    for (const schema of plainSchemas()) {
      if (!hasProtobuf(schema)) continue;
      for (const seed of [0, 3]) {
        const object = normalize(sampleMessage(schema.name, 0, seed), schema);
        const bytes = builtinProtobuf.encodeMessage(object, schema);
        const back = builtinProtobuf.decodeMessage(bytes, schema);
        assert.deepEqual(back, object, schema.name);
        assert.deepEqual(builtinProtobuf.encodeMessage(back, schema), bytes, schema.name);
      }
    }
  });

  it('an empty object survives both ways as the same zero value', () => {
    for (const schema of plainSchemas()) {
      const zero = normalize({}, schema);
      assert.deepEqual(decodeJson(encodeJson({}, schema), schema).object, zero, schema.name);
      if (!hasProtobuf(schema)) continue;
      const bytes = builtinProtobuf.encodeMessage({}, schema);
      assert.deepEqual(builtinProtobuf.encodeMessage(zero, schema), bytes, schema.name);
    }
  });
});
