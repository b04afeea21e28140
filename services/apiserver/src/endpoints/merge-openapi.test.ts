import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeOpenApiV2 } from './merge-openapi.ts';

const ref = (name: string): object => ({ schema: { $ref: `#/definitions/${name}` } });

test('only the paths of the group-version come over, with the definitions they need', () => {
  const own: Record<string, unknown> = { paths: { '/api/v1/': {} }, definitions: { Meta: { a: 1 } } };
  mergeOpenApiV2(own, [
    {
      prefix: '/apis/g/v1/',
      document: {
        paths: {
          '/apis/g/v1/things': ref('Thing'),
          '/apis/g/v2/things': ref('Other'),
          '/api/v1/': ref('Other'),
        },
        definitions: { Thing: { meta: ref('Meta') }, Meta: { a: 1 }, Other: {} },
      },
    },
  ]);
  assert.deepEqual(own, {
    paths: { '/api/v1/': {}, '/apis/g/v1/things': ref('Thing') },
    definitions: { Meta: { a: 1 }, Thing: { meta: ref('Meta') } },
  });
});

test('a definition that says something else gets a name of its own, also in what refers to it', () => {
  const own: Record<string, unknown> = { paths: {}, definitions: { Meta: { a: 1 } } };
  mergeOpenApiV2(own, [
    {
      prefix: '/apis/g/v1/',
      document: {
        paths: { '/apis/g/v1/things': ref('Thing') },
        definitions: { Thing: { meta: ref('Meta'), self: ref('Thing') }, Meta: { b: 2 } },
      },
    },
  ]);
  assert.deepEqual(own['definitions'], {
    Meta: { a: 1 },
    Meta_v2: { b: 2 },
    Thing: { meta: ref('Meta_v2'), self: ref('Thing') },
  });
});
