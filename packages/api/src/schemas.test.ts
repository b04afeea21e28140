import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { TypeRef } from '@pilothouse/apimachinery';

import { builtinGroupVersions, builtinResources } from './generated/resources.ts';
import { featureGates } from './generated/feature-gates.ts';
import { builtinSchemas } from './schemas.ts';

function* references(type: TypeRef): Generator<string> {
  if (type.kind === 'list') yield* references(type.element);
  else if (type.kind === 'map') yield* references(type.value);
  else if (type.kind !== 'scalar') yield type.message;
}

describe('builtinSchemas', () => {
  it('decodes a message with every fact', () => {
    const port = builtinSchemas
      .message('k8s.io.api.core.v1.Container')
      ?.fields.find((field) => field.name === 'ports');
    assert.deepEqual(port, {
      name: 'ports',
      number: 6,
      type: { kind: 'list', element: { kind: 'message', message: 'k8s.io.api.core.v1.ContainerPort' } },
      listType: 'map',
      listMapKeys: ['containerPort', 'protocol'],
      patchStrategy: 'merge',
      patchMergeKey: 'containerPort',
    });
    const limits = builtinSchemas
      .message('k8s.io.api.core.v1.ResourceRequirements')
      ?.fields.find((field) => field.name === 'limits');
    assert.deepEqual(limits?.type, {
      kind: 'map',
      value: {
        kind: 'special',
        special: 'Quantity',
        message: 'k8s.io.apimachinery.pkg.api.resource.Quantity',
      },
    });
  });

  it('gives the same object each time', () => {
    const first = builtinSchemas.kind('apps', 'v1', 'Deployment');
    assert.equal(first?.name, 'k8s.io.api.apps.v1.Deployment');
    assert.equal(builtinSchemas.message('k8s.io.api.apps.v1.Deployment'), first);
  });

  it('knows kinds that every group-version has, and no others', () => {
    assert.equal(
      builtinSchemas.kind('apps', 'v1', 'DeleteOptions')?.name,
      'k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions',
    );
    assert.equal(builtinSchemas.kind('meta.k8s.io', 'v1', 'Table')?.typeMeta, true);
    assert.equal(
      builtinSchemas.kind('', 'v1', 'Status')?.name,
      'k8s.io.apimachinery.pkg.apis.meta.v1.Status',
    );
    assert.equal(builtinSchemas.kind('apps', 'v1', 'Pod'), undefined);
    assert.equal(builtinSchemas.kind('apps', 'v1', 'constructor'), undefined);
    assert.equal(builtinSchemas.message('k8s.io.api.core.v1.toString'), undefined);
  });

  it('has a message behind every reference, with protobuf numbers unique', () => {
    const names = builtinSchemas.messageNames();
    assert.equal(names.length, 962);
    for (const name of names) {
      const schema = builtinSchemas.message(name);
      assert.ok(schema, name);
      const numbers = schema.fields.map((field) => field.number).filter((number) => number !== 0);
      assert.equal(new Set(numbers).size, numbers.length, name);
      for (const field of schema.fields)
        for (const reference of references(field.type))
          assert.ok(builtinSchemas.message(reference), `${name}.${field.name} → ${reference}`);
    }
  });
});

describe('discovery data', () => {
  it('has a schema for each kind of a resource and subresource', () => {
    assert.equal(builtinGroupVersions.length, 36);
    for (const resource of builtinResources) {
      assert.ok(builtinSchemas.kind(resource.group, resource.version, resource.kind), resource.kind);
      // CRDs are stored as v1beta1 JSON upstream; that version is served nowhere and has no schema.
      if (resource.storage && resource.kind !== 'CustomResourceDefinition')
        assert.ok(builtinSchemas.kind(...resource.storage, resource.kind), `storage of ${resource.plural}`);
      for (const sub of resource.subresources)
        assert.ok(
          builtinSchemas.kind(sub.group ?? resource.group, sub.version ?? resource.version, sub.kind),
          `${resource.plural}/${sub.name}`,
        );
    }
  });

  it('names only feature gates that exist', () => {
    assert.equal(featureGates['InPlacePodVerticalScaling']?.default, true);
    for (const resource of builtinResources)
      if (resource.gate) assert.ok(featureGates[resource.gate], resource.gate);
  });
});
