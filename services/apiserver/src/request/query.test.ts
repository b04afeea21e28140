import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goQuote, withoutStrayBytes } from '@pilothouse/apimachinery';
import { parseQuery } from './query.ts';

test('bytes of a selector that are no UTF-8 are told one by one', () => {
  const selector = (raw: string): string => parseQuery(`labelSelector=${raw}`).get('labelSelector') ?? '';
  assert.equal(goQuote(selector('a%ff+%e2%82%ac')), '"a\\xff €"');
  assert.equal(goQuote(selector('%e2%82')), '"\\xe2\\x82"');
  assert.equal(goQuote(selector('%c0%80%ed%a0%80')), '"\\xc0\\x80\\xed\\xa0\\x80"');
  assert.equal(withoutStrayBytes(selector('%e2%82')), '\ufffd\ufffd');
  assert.equal(selector('a%3Db%EF%BF%BD'), 'a=b\ufffd');
});

test('other parameters are as any browser reads them', () => {
  assert.equal(parseQuery('a=%ff&labelSelector=x%3Dy').get('a'), '\ufffd');
  assert.equal(parseQuery('a=%ff&labelSelector=x%3Dy').get('labelSelector'), 'x=y');
});
