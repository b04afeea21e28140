import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageSchema } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';

import { decodeBody } from '../decode-body.ts';
import { builtinProtobuf } from '../protobuf/codec.ts';
import { encodeJson } from './encode.ts';

const pod = { group: '', version: 'v1', kind: 'Pod' };
const decode = (text: string, kind = pod, fieldValidation: 'Ignore' | 'Warn' | 'Strict' = 'Warn') =>
  decodeBody(Buffer.from(text), { contentType: 'application/json', expected: kind, fieldValidation });
const schemaOf = (kind: typeof pod): MessageSchema =>
  builtinSchemas.kind(kind.group, kind.version, kind.kind) as MessageSchema;
const podWith = (seconds: string): string =>
  `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"activeDeadlineSeconds":${seconds},"containers":[{"name":"c"}]}}`;

test('integers of 64 bits keep their digits in JSON and protobuf', () => {
  for (const digits of [
    '9007199254740993',
    '-9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
  ]) {
    const { object } = decode(podWith(digits));
    const schema = schemaOf(pod);
    assert.match(encodeJson(object, schema), new RegExp(`"activeDeadlineSeconds":${digits}[,}]`));
    const bytes = builtinProtobuf.encode(object, schema);
    assert.match(
      encodeJson(builtinProtobuf.decode(bytes, pod).object, schema),
      new RegExp(`"activeDeadlineSeconds":${digits}[,}]`),
    );
    const yaml = `apiVersion: v1\nkind: Pod\nspec:\n  activeDeadlineSeconds: ${digits}\n`;
    const fromYaml = decodeBody(Buffer.from(yaml), { contentType: 'application/yaml', expected: pod }).object;
    assert.match(encodeJson(fromYaml, schema), new RegExp(`"activeDeadlineSeconds":${digits}[,}]`));
  }
});

test('what 64 bits do not hold is refused with its digits', () => {
  assert.throws(
    () => decode(podWith('9223372036854775808')),
    /cannot unmarshal number 9223372036854775808 into/,
  );
  assert.throws(() => decode(podWith('1.5')), /cannot unmarshal number 1.5 into/);
});

test('values of definitions keep their digits', () => {
  const kind = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition' };
  const text = `{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"default":9007199254740993,"enum":[9223372036854775807],"maximum":3}}}]}}`;
  const json = encodeJson(decode(text, kind).object, schemaOf(kind));
  assert.match(json, /"default":9007199254740993/);
  assert.match(json, /"enum":\[9223372036854775807\]/);
});

test('of members that are there twice structs and maps are merged, the rest is the last one', () => {
  const kind = { group: '', version: 'v1', kind: 'ConfigMap' };
  for (const validation of ['Warn', 'Ignore'] as const) {
    const { object, warnings } = decode(
      '{"data":{"a":"1","b":"2"},"metadata":{"name":"x","labels":{"l":"1"}},"metadata":{"labels":{"m":"2"},"finalizers":["f"]},"data":{"b":"3"}}',
      kind,
      validation,
    );
    assert.deepEqual(object['data'], { a: '1', b: '3' });
    assert.equal(object.metadata.name, 'x');
    assert.deepEqual(object.metadata.labels, { l: '1', m: '2' });
    assert.deepEqual(
      warnings,
      validation === 'Warn' ? ['duplicate field "metadata"', 'duplicate field "data"'] : [],
    );
  }
});

test('Go names its own types and embedded structs in errors', () => {
  const service = { group: '', version: 'v1', kind: 'Service' };
  assert.throws(
    () => decode('{"spec":{"type":[]}}', service),
    /field ServiceSpec\.spec\.type of type v1\.ServiceType/,
  );
  assert.throws(
    () => decode('{"spec":{"volumes":[{"csi":5}]}}'),
    /field Volume\.spec\.volumes\.VolumeSource\.csi of type v1\.CSIVolumeSource/,
  );
  assert.throws(
    () => decode('{"spec":{"volumes":[{"csi":{"nothing":5}}]}}', pod, 'Strict'),
    /unknown field "spec\.volumes\[0\]\.csi\.nothing"/,
  );
});
