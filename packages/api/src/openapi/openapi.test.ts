import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { buildOpenApiV2, buildOpenApiV3, openApiV3Paths } from './index.ts';

const corpus = join(import.meta.dirname, '../../../../../shared/golden/open/discovery');
const skip = existsSync(corpus) ? false : 'SKIPPED: the golden corpus is not beside the repository';

type Json = Record<string, unknown>;

interface Step {
  readonly path: string;
  readonly keysOf?: readonly string[];
  readonly keep?: readonly (readonly string[])[];
  readonly expect: { readonly status: number; readonly body: Json };
}

function* steps(prefix: string): Generator<Step> {
  for (const file of readdirSync(corpus).filter((name) => name.startsWith(prefix)))
    yield* (JSON.parse(readFileSync(join(corpus, file), 'utf8')) as { steps: Step[] }).steps;
}

/** Descriptions are our own, so they are not compared; a reference alone in allOf is the same as a plain one. */
function withoutProse(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutProse);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value)
    .filter(([key, item]) => !(key === 'description' && typeof item === 'string'))
    .map(([key, item]): [string, unknown] => [key, withoutProse(item)]);
  const [only] = members;
  if (members.length === 1 && only?.[0] === 'allOf') return (only[1] as unknown[])[0];
  return Object.fromEntries(members);
}

/** Every `$ref` below a value. */
function* references(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (key === '$ref' && typeof item === 'string') yield item;
    else yield* references(item);
  }
}

const lookup = (document: unknown, reference: string): unknown =>
  reference
    .slice(2)
    .split('/')
    .reduce<unknown>((node, key) => (node as Json | undefined)?.[key], document);

describe('OpenAPI v3', () => {
  it('publishes the recorded paths and definitions', { skip }, () => {
    let count = 0;
    for (const step of steps('openapi-v3-paths')) {
      const document = buildOpenApiV3(step.path.replace('/openapi/v3/', '')) as {
        paths: Json;
        components: { schemas: Json };
      };
      assert.deepEqual(Object.keys(document.paths).sort(), step.expect.body['paths'], step.path);
      assert.deepEqual(
        Object.keys(document.components.schemas).sort(),
        step.expect.body['components.schemas'],
      );
      count++;
    }
    assert.ok(count >= 5);
  });

  it('publishes the recorded schemas', { skip }, () => {
    let count = 0;
    for (const step of steps('openapi-v3-schema')) {
      const document = buildOpenApiV3(step.path.replace('/openapi/v3/', ''));
      for (const path of step.keep ?? []) {
        const ours = path.reduce<unknown>((node, key) => (node as Json)[key], document);
        assert.deepEqual(withoutProse(ours), withoutProse(step.expect.body[path.join('/')]), path.join('/'));
        count++;
      }
    }
    assert.ok(count >= 5);
  });

  it('lists the recorded documents', { skip }, () => {
    for (const step of steps('openapi-v3-index'))
      assert.deepEqual(openApiV3Paths(), step.expect.body['paths']);
  });

  it('has something behind every reference', () => {
    for (const key of openApiV3Paths()) {
      const document = buildOpenApiV3(key);
      for (const reference of references(document))
        assert.ok(lookup(document, reference), `${key}: ${reference}`);
    }
  });

  it('gives nothing for an unknown document', () => {
    assert.equal(buildOpenApiV3('nope'), undefined);
  });

  it('takes definitions and paths of custom kinds', () => {
    const document = buildOpenApiV3('apis/example.com/v1', {
      resources: [
        {
          group: 'example.com',
          version: 'v1',
          plural: 'things',
          singular: 'thing',
          kind: 'Thing',
          namespaced: true,
          verbs: ['create', 'get', 'list'],
          served: 'default',
          subresources: [],
        },
      ],
      kindName: (group, version, kind) =>
        group === 'example.com' ? `com.example.${version}.${kind}` : undefined,
      extraDefinitions: {
        'com.example.v1.Thing': { type: 'object' },
        'com.example.v1.ThingList': { type: 'object' },
      },
    });
    assert.ok(document);
    const references_ = new Set(references(document));
    assert.ok(references_.has('#/components/schemas/com.example.v1.ThingList'));
    for (const reference of references_) assert.ok(lookup(document, reference), reference);
  });
});

describe('OpenAPI v2', () => {
  it('has something behind every reference and no operation id twice', () => {
    const document = buildOpenApiV2() as { paths: Record<string, Json> };
    for (const reference of references(document)) assert.ok(lookup(document, reference), reference);
    const ids = Object.values(document.paths).flatMap((item) =>
      Object.values(item).flatMap((operation) => {
        const id = (operation as Json)['operationId'];
        return id === undefined ? [] : [id];
      }),
    );
    assert.ok(ids.length > 800, `${String(ids.length)} operations`);
    assert.equal(new Set(ids).size, ids.length);
  });
});
