import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { formatWarnings } from './format-warnings.ts';

const definition = (properties: object): KubeObject =>
  ({
    metadata: {},
    spec: { versions: [{ schema: { openAPIV3Schema: { type: 'object', properties } } }] },
  }) as unknown as KubeObject;

it('warns of formats that nothing checks, once they come', () => {
  const before = definition({ a: { type: 'string', format: 'good-name' } });
  const after = definition({
    a: { type: 'string', format: 'good-name' },
    b: { type: 'array', items: { type: 'integer', format: 'date' } },
    c: { type: 'string', format: 'date-time' },
    d: { type: 'string', format: 'k8s-short-name' },
    e: { type: 'integer', format: 'int64' },
    f: { anyOf: [{ format: 'mac' }, { type: 'object', format: 'uri' }] },
  });
  assert.deepEqual(formatWarnings(before), ['unrecognized format "good-name"']);
  assert.deepEqual(formatWarnings(after, before), [
    'unrecognized format "date"',
    'unrecognized format "uri"',
  ]);
});
