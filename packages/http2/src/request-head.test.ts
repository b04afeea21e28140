import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerBlock } from './hpack/header-block.ts';
import { repeatedFields, RequestHeadReader } from './request-head.ts';

test('values of a name that stands there more than once are joined, and kept apart too', () => {
  const reader = new RequestHeadReader(10_000);
  const read = (fields: [string, string][]) => {
    const result = reader.head(
      Buffer.from(headerBlock([[':method', 'GET'], [':scheme', 'https'], [':path', '/'], ...fields])),
    );
    assert.ok(result.kind === 'headers');
    return result.headers;
  };
  const headers = read([
    ['x-remote-group', 'a, b'],
    ['x-one', 'c, d'],
    ['x-remote-group', 'e'],
    ['x-remote-group', 'f'],
  ]);
  assert.equal(headers['x-remote-group'], 'a, b, e, f');
  assert.deepEqual({ ...headers[repeatedFields] }, { 'x-remote-group': ['a, b', 'e', 'f'] });
  assert.equal(read([['x-one', 'c, d']])[repeatedFields], undefined);
  assert.deepEqual(
    {
      ...read([
        ['__proto__', 'a'],
        ['__proto__', 'b'],
      ])[repeatedFields],
    }.constructor,
    Object,
  );
});
