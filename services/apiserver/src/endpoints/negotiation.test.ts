import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusError } from '@pilothouse/apimachinery';
import { checkAcceptable, contentTypeOf, negotiate } from './negotiation.ts';

test('negotiate takes the first clause of the best quality that can be served', () => {
  assert.equal(negotiate('').mediaType, 'application/json');
  assert.equal(negotiate('*/*').mediaType, 'application/json');
  assert.equal(negotiate('text/html,application/json;q=0.9').mediaType, 'application/json');
  assert.equal(negotiate('application/json;q=0.1, application/yaml').mediaType, 'application/yaml');
  const table = negotiate(
    'application/json;as=Table;v=v2;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io',
  );
  assert.deepEqual(table.transform, { group: 'meta.k8s.io', version: 'v1', kind: 'Table' });
});

test('negotiate refuses views that are not served', () => {
  for (const accept of [
    'application/json;v=v2',
    'application/json;as=Foo;v=v1;g=meta.k8s.io',
    'application/json;as=Table',
  ]) {
    assert.throws(
      () => negotiate(accept),
      (error) => {
        assert.ok(error instanceof StatusError);
        assert.equal(error.httpCode, 406);
        return error.message.startsWith('only the following media types are accepted: application/json, ');
      },
    );
  }
});

test('checkAcceptable wants a literal media type', () => {
  checkAcceptable('text/html,application/xhtml+xml,*/*;q=0.8', false);
  checkAcceptable('application/json; charset=utf-8', false);
  assert.throws(
    () => checkAcceptable('application/*', false),
    /^StatusError: 406: Not Acceptable\n\nAvailable/,
  );
  assert.throws(() => checkAcceptable('text/html', true), /protobuf;stream=watch$/);
});

test('contentTypeOf defaults to JSON and refuses what is unknown', () => {
  assert.equal(contentTypeOf(''), 'application/json');
  assert.equal(contentTypeOf('application/yaml; charset=utf-8'), 'application/yaml');
  assert.throws(() => contentTypeOf('text/plain'), /unknown format/);
});
