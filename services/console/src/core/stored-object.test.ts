import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinSchemas } from '@pilothouse/api';
import { builtinProtobuf } from '@pilothouse/serializer';
import { decodeStored, writersOf, writtenAt } from './stored-object.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const configMap = (colour: string, managers: readonly object[] = []): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', namespace: 'b', uid: 'u', managedFields: managers },
  data: { colour },
});

test('protobuf and JSON become YAML without managed fields', () => {
  const schema = builtinSchemas.kind('', 'v1', 'ConfigMap');
  assert.ok(schema);
  const stored = decodeStored(builtinProtobuf.encode(configMap('blue', [{ manager: 'm' }]), schema));
  assert.equal(stored.format, 'protobuf');
  assert.equal(stored.uid, 'u');
  assert.match(stored.yaml, /^apiVersion: v1\ndata:\n {2}colour: blue\nkind: ConfigMap\nmetadata:\n/);
  assert.doesNotMatch(stored.yaml, /managedFields/);
  assert.equal(stored.managers[0]?.manager, 'm');
  const custom = decodeStored(
    bytes('{"kind":"Order","apiVersion":"shop.example/v1","metadata":{"name":"x"}}'),
  );
  assert.equal(custom.yaml, 'apiVersion: shop.example/v1\nkind: Order\nmetadata:\n  name: x\n');
});

test('what cannot be read says why', () => {
  assert.match(
    decodeStored(bytes('k8s:enc:aescbc:v1:key1:\u0001\u0002')).problem ?? '',
    /Encrypted at rest \(aescbc\)/,
  );
  assert.match(decodeStored(bytes('{"kind"')).problem ?? '', /cannot be read/);
  assert.match(decodeStored(Uint8Array.of(0x6b, 0x38, 0x73, 0, 0xff)).problem ?? '', /cannot be read/);
});

test('writers are those whose entries are new or changed', () => {
  const kept = { manager: 'kubectl', operation: 'Apply', time: '2026-01-01T00:00:00Z' };
  const at = (managers: readonly object[]) => decodeStored(bytes(JSON.stringify(configMap('x', managers))));
  const older = at([kept]);
  const newer = at([
    kept,
    { manager: 'hpa', operation: 'Update', subresource: 'scale', time: '2026-01-02T00:00:00Z' },
  ]);
  assert.deepEqual(writersOf(newer, older), ['hpa (Update of scale)']);
  assert.deepEqual(writersOf(older, undefined), ['kubectl (Apply)']);
  // Whose field was taken is no writer; in the same second there is nothing better than what changed.
  const robbed = at([
    { ...kept, fieldsV1: {} },
    { manager: 'hpa', operation: 'Update', time: '2026-01-03T00:00:00Z' },
  ]);
  assert.deepEqual(writersOf(robbed, older), ['hpa (Update)']);
  assert.deepEqual(writersOf(at([{ ...kept, fieldsV1: {} }]), older), ['kubectl (Apply)']);
  assert.equal(writtenAt(newer), '2026-01-02T00:00:00Z');
});
