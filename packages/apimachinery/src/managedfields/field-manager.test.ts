import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject, ManagedFieldsEntry } from '../meta.ts';
import { FieldManager, ignoreTimestampOnlyChange } from './field-manager.ts';
import { capManagers, decodeManagers, encodeManagers } from './managers.ts';
import type { MapType, MergeType } from './merge-schema.ts';
import { mergeTypeOfStructuralSchema, mapOf, stringType } from './merge-schema.ts';
import { parentManagedFields, scaleManagedFields } from './scale-entries.ts';

const meta: MapType = {
  kind: 'map',
  relationship: 'granular',
  fields: () =>
    new Map<string, MergeType>([
      ['name', stringType],
      ['labels', mapOf(stringType)],
    ]),
};
const type = mergeTypeOfStructuralSchema(
  {
    type: 'object',
    properties: {
      data: { type: 'object', additionalProperties: { type: 'string' } },
      spec: {
        type: 'object',
        properties: {
          replicas: { type: 'integer' },
          ports: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['port', 'protocol'],
            items: {
              type: 'object',
              properties: {
                port: { type: 'integer' },
                protocol: { type: 'string', default: 'TCP' },
                name: { type: 'string' },
              },
            },
          },
          tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
          args: { type: 'array', items: { type: 'string' } },
          any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
      status: { type: 'object', properties: { phase: { type: 'string' } } },
    },
  },
  meta,
);
const manager = new FieldManager({
  apiVersion: 'v1',
  kind: 'Thing',
  subresource: '',
  type,
  resetFields: ['status'],
});
const thing = (fields: object, managedFields?: ManagedFieldsEntry[]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: 'c', ...(managedFields === undefined ? {} : { managedFields }) },
  ...fields,
});
const live = (fields: object, managedFields?: ManagedFieldsEntry[]): KubeObject => {
  const object = thing(fields, managedFields);
  object.metadata.uid = 'u';
  return object;
};
const now = '2024-01-01T00:00:00Z';
const later = '2024-01-01T00:00:05Z';
const shown = (entries: readonly ManagedFieldsEntry[] | undefined): unknown[] =>
  (entries ?? []).map(
    (entry) => `${entry.manager} ${entry.operation} ${entry.time ?? '-'} ${JSON.stringify(entry.fieldsV1)}`,
  );

test('an update is booked on its manager, and takes the fields from others', () => {
  const created = manager.update(undefined, thing({ data: { a: '1' } }), { manager: 'one', now });
  assert.deepEqual(shown(created), [`one Update ${now} {"f:data":{".":{},"f:a":{}}}`]);
  const old = live({ data: { a: '1' }, spec: { tags: ['x'] } }, created);
  const next = manager.update(
    old,
    live({ data: { a: '2' }, spec: { tags: ['x', 'y'] }, status: { phase: 'P' } }, created),
    { manager: 'two', now: later },
  );
  assert.deepEqual(shown(next), [
    `one Update ${now} {"f:data":{}}`,
    `two Update ${later} {"f:data":{"f:a":{}},"f:spec":{"f:tags":{"v:\\"y\\"":{}}}}`,
  ]);
  assert.equal(
    manager.update(old, live({ data: { a: '1' }, spec: { tags: ['x'] } }, created), {
      manager: 'two',
      now: later,
    }),
    created,
    'no change keeps the entries',
  );
});

test('one empty entry clears managedFields, and an update leaves the object untracked', () => {
  const cleared = manager.update(
    live({ data: { a: '1' } }, [
      { manager: 'm', operation: 'Update', apiVersion: 'v1', fieldsV1: { 'f:data': {} } },
    ]),
    live({ data: { a: '1' } }, [{}]),
    { manager: 'm', now },
  );
  assert.deepEqual(cleared, []);
});

test('apply merges, removes what is stated no more, and conflicts', () => {
  const first = manager.apply(
    undefined,
    thing({ data: { a: '1', b: '1' }, spec: { ports: [{ port: 80, name: 'x' }] } }),
    { manager: 'm1', force: false, now },
  );
  assert.deepEqual(shown(first.object.metadata.managedFields), [
    `m1 Apply ${now} {"f:data":{"f:a":{},"f:b":{}},"f:spec":{"f:ports":{"k:{\\"port\\":80,\\"protocol\\":\\"TCP\\"}":{".":{},"f:name":{},"f:port":{}}}}}`,
  ]);
  const object = { ...first.object, metadata: { ...first.object.metadata, uid: 'u' } };
  assert.throws(
    () => manager.apply(object, thing({ data: { a: '2' } }), { manager: 'm2', force: false, now }),
    {
      message: 'Apply failed with 1 conflict: conflict with "m1": .data.a',
    },
  );
  assert.throws(
    () =>
      manager.apply(object, thing({ data: { a: '2' }, spec: { ports: [{ port: 80, name: 'y' }] } }), {
        manager: 'm2',
        force: false,
        now,
      }),
    {
      message:
        'Apply failed with 2 conflicts: conflicts with "m1":\n- .data.a\n- .spec.ports[port=80,protocol="TCP"].name',
    },
  );
  const same = manager.apply(object, thing({ data: { a: '1' } }), {
    manager: 'm2',
    force: false,
    now: later,
  });
  assert.equal(same.changed, false);
  assert.match(String(shown(same.object.metadata.managedFields)[0]), /^m2 Apply - /);
  const forced = manager.apply(object, thing({ data: { a: '2' } }), {
    manager: 'm2',
    force: true,
    now: later,
  });
  assert.deepEqual(forced.object['data'], { a: '2', b: '1' });
  const removed = manager.apply(forced.object, thing({}), { manager: 'm1', force: false, now: later });
  assert.deepEqual(removed.object['data'], { a: '2' });
  assert.deepEqual(removed.object['spec'] ?? null, null);
  assert.deepEqual(shown(removed.object.metadata.managedFields), [`m2 Apply ${later} {"f:data":{"f:a":{}}}`]);
});

test('apply refuses what is against the schema', () => {
  const cases: [object, string][] = [
    [{ bogus: 1 }, '.bogus: field not declared in schema'],
    [{ data: { a: 1 } }, '.data.a: expected string, got &value.valueUnstructured{Value:1}'],
    [{ spec: { tags: ['a', 'a'] } }, '.spec.tags: duplicate entries for key [="a"]'],
  ];
  for (const [fields, text] of cases) {
    assert.throws(() => manager.apply(undefined, thing(fields), { manager: 'm', force: false, now }), {
      message: `failed to create typed patch object (/c; /v1, Kind=Thing): ${text}`,
    });
  }
  assert.throws(
    () => manager.apply(undefined, { ...thing({}), kind: 'Other' }, { manager: 'm', force: false, now }),
    { message: 'invalid object type: /v1, Kind=Other' },
  );
});

test('an element that leaves out one of its keys is known by the others', () => {
  const applied = manager.apply(undefined, thing({ spec: { ports: [{ name: 'x' }] } }), {
    manager: 'm',
    force: false,
    now,
  });
  assert.match(JSON.stringify(applied), /k:{\\"protocol\\":\\"TCP\\"}/);
});

test('kubectl takes over what its client-side apply wrote', () => {
  const annotation = JSON.stringify(thing({ data: { a: '1' } }));
  const object = live({ data: { a: '1' } }, [
    {
      manager: 'kubectl-client-side-apply',
      operation: 'Update',
      apiVersion: 'v1',
      fieldsV1: { 'f:data': { 'f:a': {} } },
    },
  ]);
  object.metadata.annotations = { 'kubectl.kubernetes.io/last-applied-configuration': annotation };
  const result = manager.apply(object, thing({ data: { a: '2' } }), {
    manager: 'kubectl',
    force: false,
    now,
  });
  assert.deepEqual(result.object['data'], { a: '2' });
  assert.match(
    result.object.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'] ?? '',
    /"a":"2"/,
  );
  assert.throws(
    () => manager.apply(object, thing({ data: { a: '2' } }), { manager: 'other', force: false, now }),
    /conflict with "kubectl-client-side-apply" using v1/,
  );
});

test('the eleventh updater makes the oldest two ancient', () => {
  const entries: ManagedFieldsEntry[] = Array.from({ length: 12 }, (_, index) => ({
    manager: `m${index}`,
    operation: 'Update',
    apiVersion: 'v1',
    time: `2024-01-01T00:00:${String(index).padStart(2, '0')}Z`,
    fieldsV1: { [`f:x${index}`]: {} },
  }));
  const managers = decodeManagers(entries);
  assert.ok(managers);
  capManagers(managers);
  const result = encodeManagers(managers);
  assert.equal(result.length, 10);
  assert.deepEqual(result[0], {
    manager: 'ancient-changes',
    operation: 'Update',
    apiVersion: 'v1',
    time: '2024-01-01T00:00:02Z',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:x0': {}, 'f:x1': {}, 'f:x2': {} },
  });
});

test('replicas change hands through scale', () => {
  const paths = { 'apps/v1': 'spec.replicas' };
  const parent: ManagedFieldsEntry[] = [
    {
      manager: 'm1',
      operation: 'Apply',
      apiVersion: 'apps/v1',
      time: now,
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:spec': { 'f:replicas': {}, 'f:selector': {} } },
    },
  ];
  const view = scaleManagedFields(parent, paths);
  assert.deepEqual(view, [
    {
      manager: 'm1',
      operation: 'Apply',
      apiVersion: 'autoscaling/v1',
      time: now,
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:spec': { 'f:replicas': {} } },
    },
  ]);
  const taken: ManagedFieldsEntry[] = [
    {
      manager: 'scaler',
      operation: 'Apply',
      apiVersion: 'autoscaling/v1',
      time: later,
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:spec': { 'f:replicas': {} } },
      subresource: 'scale',
    },
  ];
  assert.deepEqual(shown(parentManagedFields(parent, taken, { apiVersion: 'apps/v1', paths })), [
    'scaler Apply - {"f:spec":{"f:replicas":{}}}',
    `m1 Apply ${now} {"f:spec":{"f:selector":{}}}`,
  ]);
});

test('a change of timestamps alone is none', () => {
  const entry = (time: string): ManagedFieldsEntry[] => [
    { manager: 'm', operation: 'Update', apiVersion: 'v1', time, fieldsV1: { 'f:data': {} } },
  ];
  const old = live({ data: {} }, entry(now));
  assert.equal(
    ignoreTimestampOnlyChange(old, live({ data: {} }, entry(later))).metadata.managedFields?.[0]?.time,
    now,
  );
  assert.equal(
    ignoreTimestampOnlyChange(old, live({ data: { a: '1' } }, entry(later))).metadata.managedFields?.[0]
      ?.time,
    later,
  );
});
