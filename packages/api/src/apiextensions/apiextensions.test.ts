import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileRules } from './cel/rule-set.ts';
import { validateSchemaRules } from './cel/validate-rules.ts';
import { applyDefaults } from './defaulting.ts';
import { FieldPath } from '@pilothouse/apimachinery';
import { JsonPath } from './json-path.ts';
import { validateListUniqueness } from './list-uniqueness.ts';
import { decideNames } from './names.ts';
import { prune } from './prune.ts';
import { validateWithRatcheting } from './ratcheting.ts';
import type { JsonSchema } from './schema.ts';
import { validateValue } from './validate-value.ts';

const texts = (errors: readonly { field: string; message: string }[]): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);

describe('structural schemas', () => {
  it('prune what they do not know', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } },
        map: { type: 'object', additionalProperties: { type: 'object' } },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    };
    const value = {
      metadata: { any: 1 },
      list: [{ a: 'x', b: 1 }],
      map: { k: { gone: 1 } },
      free: { kept: { deep: 1 } },
      top: 1,
      constructor: 1,
    };
    assert.deepEqual(prune(value, schema, true), ['constructor', 'list[0].b', 'map.k.gone', 'top']);
    assert.deepEqual(value, {
      metadata: { any: 1 },
      list: [{ a: 'x' }],
      map: { k: {} },
      free: { kept: { deep: 1 } },
    });
  });

  it('fill defaults and drop nulls that may not be', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        a: { type: 'object', default: {}, properties: { b: { type: 'integer', default: 1 } } },
        n: { type: 'string', nullable: true, default: 'x' },
        dropped: { type: 'string' },
      },
    };
    const value = { n: null, dropped: null };
    applyDefaults(value, schema);
    assert.deepEqual(value, { a: { b: 1 }, n: null });
  });

  it('validate in the words of go-openapi', () => {
    const schema: JsonSchema = {
      type: 'object',
      required: ['r'],
      properties: {
        s: { type: 'string', pattern: '^a', maxLength: 2 },
        n: { type: 'number', exclusiveMaximum: true, maximum: 5 },
        p: { 'x-kubernetes-int-or-string': true },
        o: { type: 'object', oneOf: [{ required: ['x'] }, { required: ['y'] }] },
      },
    };
    assert.deepEqual(texts(validateValue({ s: 'bcd', n: 5, p: true, o: {} }, schema)), [
      'r: Required value',
      's: Too long: may not be more than 2 bytes',
      's: Invalid value: "bcd": s in body should match \'^a\'',
      'n: Invalid value: 5: n in body should be less than 5',
      'p: Invalid value: "boolean": p in body must be of type integer,string: "boolean"',
      '<nil>: Invalid value: "": "o" must validate one and only one schema (oneOf). Found none valid',
      'o.x: Required value',
    ]);
  });

  it('let pass what an update leaves as it was', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: { a: { type: 'integer', minimum: 5 }, b: { type: 'string' } },
    };
    const old = { metadata: {}, a: 1, b: 'x' };
    assert.deepEqual(validateWithRatcheting({ ...old, b: 'y' }, old, schema), []);
    assert.equal(validateWithRatcheting({ ...old, a: 2 }, old, schema).length, 1);
  });

  it('tell elements of sets and maps apart', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
        map: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['k'],
          items: { type: 'object' },
        },
      },
    };
    const value = { set: ['a', 'b', 'a', 'a'], map: [{ k: 1 }, { k: 2 }, { k: 1, v: 2 }] };
    assert.deepEqual(texts(validateListUniqueness(value, schema)), [
      'map[2]: Duplicate value: {"k":1}',
      'set[2]: Duplicate value: "a"',
    ]);
  });
});

describe('rules', () => {
  const schema: JsonSchema = {
    type: 'object',
    'x-kubernetes-validations': [{ rule: 'self.metadata.name.startsWith("w")', message: 'bad name' }],
    properties: {
      spec: {
        type: 'object',
        properties: {
          size: {
            type: 'integer',
            'x-kubernetes-validations': [{ rule: 'self >= oldSelf', message: 'may not shrink' }],
          },
          memory: { 'x-kubernetes-int-or-string': true },
          'list-of': { type: 'array', maxItems: 9, items: { type: 'string', maxLength: 9 } },
          at: { type: 'string', format: 'date-time' },
          parts: {
            type: 'array',
            maxItems: 9,
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
            items: {
              type: 'object',
              properties: { k: { type: 'string', maxLength: 9 }, v: { type: 'integer' } },
              'x-kubernetes-validations': [
                {
                  rule: '!has(self.v) || self.v == oldSelf.v',
                  messageExpression: '"v of " + self.k + " is fixed"',
                },
              ],
            },
          },
        },
        'x-kubernetes-validations': [
          { rule: "!has(self.memory) || self.memory != '4Gi'" },
          {
            rule: '!has(self.list__dash__of) || self.list__dash__of.isSorted()',
            reason: 'FieldValueForbidden',
            fieldPath: '.list-of',
          },
          { rule: "!has(self.at) || self.at < timestamp('2030-01-01T00:00:00Z')" },
          {
            rule: "!has(self.parts) || (self.parts[0].k != '' && self.parts.all(p, matches(p.k, '^[a-z]$')) && self == self)",
          },
        ],
      },
    },
  };
  const rules = compileRules(schema);
  const object = (spec: object, name = 'w') => ({ metadata: { name }, spec });

  it('compile', () => {
    assert.deepEqual(validateSchemaRules(schema, new FieldPath('schema')), []);
  });

  it('are checked on create without transition rules', () => {
    assert.deepEqual(
      texts(rules?.validate(object({ size: 1, at: '2029-01-01T00:00:00Z' }), undefined) ?? []),
      [],
    );
    assert.deepEqual(
      texts(rules?.validate(object({ memory: '4Gi', 'list-of': ['b', 'a'] }, 'x'), undefined) ?? []),
      [
        '<nil>: Invalid value: bad name',
        "spec: Invalid value: failed rule: !has(self.memory) || self.memory != '4Gi'",
        'spec.list-of: Forbidden: failed rule: !has(self.list__dash__of) || self.list__dash__of.isSorted()',
      ],
    );
  });

  it('compare with what was there before', () => {
    const old = object({ size: 3, parts: [{ k: 'a', v: 1 }] });
    const changed = object({
      size: 2,
      parts: [
        { k: 'b', v: 5 },
        { k: 'a', v: 2 },
      ],
    });
    assert.deepEqual(texts(rules?.validate(changed, old) ?? []), [
      'spec.parts[1]: Invalid value: v of a is fixed',
      'spec.size: Invalid value: 2: may not shrink',
    ]);
  });

  it('with mistakes are told in the words of upstream', () => {
    const rule = (text: string): string =>
      validateSchemaRules(
        {
          type: 'object',
          properties: { a: { type: 'string' } },
          'x-kubernetes-validations': [{ rule: text }],
        },
        new FieldPath('s'),
      )
        .map(({ message }) => message.replace(/^Invalid value: \{.*?\}: /, '').split('\n')[0])
        .join();
    assert.equal(rule('self.a + "x"'), 'cel expression must evaluate to a bool');
    assert.equal(
      rule('self.a == 1'),
      "compilation failed: ERROR: <input>:1:8: found no matching overload for '_==_' applied to '(string, int)'",
    );
    assert.equal(
      rule('nofn(self)'),
      "compilation failed: ERROR: <input>:1:5: undeclared reference to 'nofn' (in container '')",
    );
    assert.equal(
      rule('other'),
      "compilation failed: ERROR: <input>:1:1: undeclared reference to 'other' (in container '')",
    );
  });
});

describe('names', () => {
  it('of other definitions are taken, own ones are kept', () => {
    const names = { plural: 'bs', singular: 'b', kind: 'B', listKind: 'BList', shortNames: ['x'] };
    const { acceptedNames, condition } = decideNames(names, undefined, [
      { plural: 'as', kind: 'B', shortNames: ['x'] },
    ]);
    assert.deepEqual(acceptedNames, { plural: 'bs', singular: 'b', kind: '', listKind: 'BList' });
    assert.equal(condition.reason, 'KindConflict');
    assert.equal(decideNames(names, names, []).condition.status, 'True');
  });
});

describe('JSON paths', () => {
  it('lead to values', () => {
    const root = {
      status: {
        conditions: [
          { type: 'A', status: 'False' },
          { type: 'Ready', status: 'True' },
        ],
      },
      'a.b': 1,
    };
    const find = (path: string): unknown[] => new JsonPath(path).find(root);
    assert.deepEqual(find('.status.conditions[?(@.type=="Ready")].status'), ['True']);
    assert.deepEqual(find('.status.conditions[*].type'), ['A', 'Ready']);
    assert.deepEqual(find('.status.conditions[-1].type'), ['Ready']);
    assert.deepEqual(find("['a.b']"), [1]);
    assert.deepEqual(find('.missing.member'), []);
    assert.throws(() => find('.a[0'));
  });
});
