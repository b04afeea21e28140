import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonText, parseExact } from './exact-json.ts';

test('integers of 64 bits keep their digits, other numbers are numbers', () => {
  const text =
    '{"a":9007199254740993,"b":[-9223372036854775808,9223372036854775807],"c":1.5,"d":9007199254740991,"e":"9007199254740993"}';
  const value = parseExact(text);
  assert.deepEqual(value, {
    a: 9007199254740993n,
    b: [-9223372036854775808n, 9223372036854775807n],
    c: 1.5,
    d: 9007199254740991,
    e: '9007199254740993',
  });
  assert.equal(jsonText(value), text);
});

test('what does not fit into 64 bits or has a fraction is a float, as in Go', () => {
  assert.deepEqual(
    parseExact('[9223372036854775808, 9007199254740993.0, 9007199254740993e0, -9223372036854775809]'),
    [9223372036854775808, 9007199254740992, 9007199254740992, -9223372036854775808],
  );
});

test('strings are left alone, with quotes, slashes and digits in them', () => {
  const value = { 'a:9007199254740993': '\\": 9007199254740993 "', b: '\\', c: 'x, 12345678901234567890' };
  const text = `{"n": 9007199254740993,${JSON.stringify(value).slice(1)}`;
  assert.deepEqual(parseExact(text), { n: 9007199254740993n, ...value });
});

test('members called __proto__ stay members, and the last of two counts', () => {
  const value = parseExact('{"__proto__":{"a":9007199254740993},"b":1,"b":9007199254740995}') as object;
  assert.equal(jsonText(value), '{"__proto__":{"a":9007199254740993},"b":9007199254740995}');
  assert.equal(({} as Record<string, unknown>)['a'], undefined);
});

test('deep nesting does not end in a full stack', () => {
  const depth = 9000;
  const text = `${'['.repeat(depth)}9007199254740993${']'.repeat(depth)}`;
  let value = parseExact(text);
  while (Array.isArray(value)) [value] = value as unknown[];
  assert.equal(value, 9007199254740993n);
});
