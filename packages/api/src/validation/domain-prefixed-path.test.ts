import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FieldPath } from '@pilothouse/apimachinery';
import { validateDomainPrefixedPath } from './domain-prefixed-path.ts';

it('wants a domain, a slash and a path', () => {
  const first = (value: string): string | undefined =>
    validateDomainPrefixedPath(value, new FieldPath('spec'))[0]?.message;
  assert.equal(first('example.com/controller/a'), undefined);
  assert.equal(first(''), 'Required value');
  for (const value of ['example.com', '/x', 'example.com/'])
    assert.match(first(value) ?? '', /must be a domain-prefixed path/);
  assert.match(first('Bad_Host/x') ?? '', /^Invalid value: "Bad_Host": a lowercase RFC 1123 subdomain/);
  assert.match(first('example.com/a b') ?? '', /^Invalid value: "a b": Invalid path \(regex/);
});
