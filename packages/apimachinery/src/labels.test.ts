import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldPath } from './field-error.ts';
import { parseFieldSelector } from './fields.ts';
import { formatLabelSelector, labelSelectorOf, parseLabelSelector, validateLabelSelector } from './labels.ts';

test('a label selector in text form matches labels', () => {
  const labels = { a: 'b', e: 'x', g: '', h: '5' };
  const cases: [string, boolean][] = [
    ['', true],
    ['a=b', true],
    ['a==b', true],
    ['a!=b', false],
    ['z!=b', true],
    ['e in (x,y)', true],
    ['e notin (x,y)', false],
    ['z notin (x)', true],
    ['!f', true],
    ['!a', false],
    ['g', true],
    ['g=', true],
    ['h>4', true],
    ['h<5', false],
    ['a=b,c!=d,e in (x,y),!f,g,h>1', true],
    ['a in (in,b)', true],
    ['in=1', false],
    ['a in (,b)', true],
    // An empty set is that of the empty value.
    ['g in ()', true],
    ['a in ()', false],
    ['a notin ()', true],
  ];
  for (const [text, expected] of cases)
    assert.equal(parseLabelSelector(text).matches(labels), expected, text);
});

test('a bad label selector is refused with the text of upstream', () => {
  // Recorded from a stock server.
  const cases: Record<string, string> = {
    'a===b': "unable to parse requirement: found '=', expected: identifier",
    'a in b': "unable to parse requirement: found 'b' expected: '('",
    '-a=b':
      "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    'a=b c': "found 'c', expected: ',' or 'end of string'",
    '=': "found '=', expected: !, identifier, or 'end of string'",
    'a>x':
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    'a,': "found '', expected: identifier after ','",
  };
  for (const [text, message] of Object.entries(cases))
    assert.throws(() => parseLabelSelector(text), { message });
});

test('a LabelSelector object selects, and says so in text', () => {
  assert.equal(labelSelectorOf(undefined).matches({}), false);
  assert.equal(labelSelectorOf({}).matches({ a: 'b' }), true);
  const selector = {
    matchLabels: { b: '1', a: '2' },
    matchExpressions: [
      { key: 'c', operator: 'In', values: ['z', 'y'] },
      { key: 'd', operator: 'DoesNotExist' },
    ],
  };
  assert.equal(formatLabelSelector(selector), 'a=2,b=1,c in (y,z),!d');
  assert.equal(labelSelectorOf(selector).matches({ a: '2', b: '1', c: 'y' }), true);
  assert.equal(labelSelectorOf(selector).matches({ a: '2', b: '1', c: 'y', d: '' }), false);
  assert.deepEqual(
    validateLabelSelector(
      { matchExpressions: [{ key: 'a', operator: 'X' }] },
      new FieldPath('spec.selector'),
    ).map((error) => `${error.field}: ${error.message}`),
    ['spec.selector.matchExpressions[0].operator: Invalid value: "X": not a valid selector operator'],
  );
});

test('a field selector parses, escapes and matches', () => {
  const selector = parseFieldSelector('metadata.name=a\\,b,spec.nodeName!=n');
  assert.equal(selector.toString(), 'metadata.name=a\\,b,spec.nodeName!=n');
  assert.equal(
    selector.matches((field) => (field === 'metadata.name' ? 'a,b' : undefined)),
    true,
  );
  assert.equal(selector.requiresExactMatch('metadata.name'), 'a,b');
  assert.throws(() => parseFieldSelector('metadata.name===a'), {
    message: 'invalid field selector: unescaped character in value: 61',
  });
  assert.throws(() => parseFieldSelector('metadata.name'), {
    message: "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
  });
});
