import assert from 'node:assert/strict';
import { it } from 'node:test';

import { builtinSchemas } from '@pilothouse/api';
import type { MessageSchema } from '@pilothouse/apimachinery';
import { shownMember } from '@pilothouse/apimachinery';

import { builtinProtobuf, decodeJson, encodeJson } from './index.ts';

const schemaOf = (group: string, version: string, kind: string): MessageSchema =>
  builtinSchemas.kind(group, version, kind) as MessageSchema;

it('an empty list stays where JSON always writes the field, until it is stored', () => {
  const role = schemaOf('rbac.authorization.k8s.io', 'v1', 'Role');
  const text = '{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{},"rules":[]}';
  const { object } = decodeJson(Buffer.from(text), role);
  assert.deepEqual(object['rules'], []);
  assert.match(encodeJson(object, role), /"rules":\[\]/);
  const bytes = builtinProtobuf.encode(object, role);
  assert.equal(builtinProtobuf.forgotEmpty, true);
  const back = builtinProtobuf.decode(bytes).object;
  assert.equal(back['rules'], undefined);
  assert.match(encodeJson(back, role), /"rules":null/);
  builtinProtobuf.encode(back, role);
  assert.equal(builtinProtobuf.forgotEmpty, false);
});

it('an empty map that may be left out is absent, but can be shown', () => {
  const volume = schemaOf('', 'v1', 'PersistentVolume');
  const text = '{"kind":"PersistentVolume","apiVersion":"v1","spec":{"capacity":{},"accessModes":null}}';
  const { object } = decodeJson(Buffer.from(text), volume);
  const spec = object['spec'] as Record<string, unknown>;
  assert.equal('capacity' in spec, false);
  assert.deepEqual(shownMember(spec, 'capacity'), {});
  assert.equal(shownMember(spec, 'accessModes'), null);
});
