import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CelEnvironment } from './environment.ts';
import { celTypes, listType, structType } from './types.ts';
import { fromJson, toJson } from './values.ts';

const person = structType(
  'object',
  (name) => ({ name: celTypes.string, age: celTypes.int, tags: listType(celTypes.string) })[name],
);
const environment = new CelEnvironment({
  variables: {
    object: celTypes.dyn,
    self: person,
    text: celTypes.string,
    strings: listType(celTypes.string),
  },
  struct: (name) => (/^Object(\.|$)/.test(name) ? structType(name) : undefined),
});

const values: Readonly<Record<string, unknown>> = {
  object: {
    metadata: { name: 'web', labels: { app: 'x' } },
    spec: { replicas: 3, ratio: 0.5, list: [{ n: 'a' }, { n: 'b' }] },
  },
  text: 'hello',
  strings: ['b', 'a'],
};
const run = (source: string): unknown =>
  toJson(
    environment
      .compile(source)
      .run((name) => (Object.hasOwn(values, name) ? fromJson(values[name]) : undefined)).value,
  );
const failure = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
};

test('expressions give the values that the language says', () => {
  const cases: Readonly<Record<string, unknown>> = {
    '1 + 2 * 3 - 4 / 2': 5,
    '-7 / 2 == -3 && -7 % 2 == -1': true,
    "'a' + 'b' in ['ab']": true,
    'object.spec.replicas > 2 ? "many" : "few"': 'many',
    'object.spec.replicas == 3.0': true,
    'has(object.metadata.labels) && !has(object.metadata.annotations)': true,
    'has(object.spec.list[0].n)': true,
    "'app' in object.metadata.labels": true,
    'object.spec.list.map(e, e.n)': ['a', 'b'],
    "object.spec.list.filter(e, e.n != 'a').size()": 1,
    "object.spec.list.exists(e, e.n == 'b') && object.spec.list.all(e, e.n != 'c')": true,
    "object.spec.list.exists_one(e, e.n == 'b')": true,
    '[1, 2, 3].map(x, x > 1, x * 2)': [4, 6],
    "['x', 'y'].transformList(i, v, string(i) + v)": ['0x', '1y'],
    "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)": { b: 20 },
    "{'a': 1}.transformMapEntry(k, v, {k + k: v})": { aa: 1 },
    '[1, 2].all(i, v, i < v)': true,
    '[3, 1, 2].sort() == [1, 2, 3] && [3, 1].min() == 1 && [1, 2].sum() == 3': true,
    "[{'n': 2}, {'n': 1}].sortBy(e, e.n).map(e, e.n)": [1, 2],
    'lists.range(3)': [0, 1, 2],
    '[[1], [2]].flatten()': [1, 2],
    'sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])': true,
    "'a,b'.split(',').join('-')": 'a-b',
    "'%s is %d%% of %.1f'.format([dyn('x'), dyn(5), dyn(2.25)])": 'x is 5% of 2.3',
    "'hello'.substring(1, 3) + 'x'.upperAscii() + ' y '.trim()": 'elXy',
    "'héllo'.size()": 5,
    "'abc123'.find('[0-9]+') + 'a1b2'.findAll('[0-9]').join()": '12312',
    "'foo'.matches('^f.o$')": true,
    "quantity('1Gi').add(quantity('1Gi')) == quantity('2Gi') && quantity('500m').isLessThan(quantity('1'))": true,
    "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.1.1') && ip.isCanonical('::1')": true,
    "url('https://h:8/p?a=b').getPort() == '8' && isURL('/x')": true,
    "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('v1.0', true).major() == 1": true,
    "format.dns1123Label().validate('Bad').hasValue() && !format.named('nope').hasValue()": true,
    "object.?spec.?missing.orValue('none')": 'none',
    "object.?metadata.?name.optMap(n, n + '!').value()": 'web!',
    '[1, ?optional.none(), ?optional.of(2)]': [1, 2],
    "{?'a': optional.none(), 'b': 1}": { b: 1 },
    "type(1) == int && type('x') == string && type(object) == map": true,
    "duration('90m') == duration('1h30m') && timestamp('2024-01-02T03:04:05Z').getFullYear() == 2024": true,
    "timestamp('2024-01-02T03:04:05Z') + duration('1h') > timestamp('2024-01-02T03:04:05.5Z')": true,
    "string(timestamp('2024-01-02T03:04:05.120Z'))": '2024-01-02T03:04:05.12Z',
    "dyn(1) == 1u && dyn(1.0) == 1 && dyn('a') != 1": true,
    'true || object.missing == 1': true,
    'object.missing == 1 || true': true,
    "Object{spec: Object.spec{replicas: 2}, labels: {'a': 'b'}}": {
      spec: { replicas: 2 },
      labels: { a: 'b' },
    },
    "r'\\d' == '\\\\d' && b'ab' == b'\\x61\\x62' && '\\u00e9' == 'é' && '''a'b''' == \"a'b\"": true,
    '[strings.max(), strings.min()]': ['b', 'a'],
    '9223372036854775807 - 1 == 9223372036854775806': true,
  };
  for (const [source, expected] of Object.entries(cases)) assert.deepEqual(run(source), expected, source);
});

test('what goes wrong is told in words that clients know', () => {
  const cases: Readonly<Record<string, string>> = {
    'text ==':
      "ERROR: <input>:1:8: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | text ==\n | .......^",
    'text.foo': "ERROR: <input>:1:5: type 'string' does not support field selection\n | text.foo\n | ....^",
    'self.nope == 1': "ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^",
    'text == 1':
      "ERROR: <input>:1:6: found no matching overload for '_==_' applied to '(string, int)'\n | text == 1\n | .....^",
    'nope(text)':
      "ERROR: <input>:1:5: undeclared reference to 'nope' (in container '')\n | nope(text)\n | ....^",
    'a && b':
      "ERROR: <input>:1:1: undeclared reference to 'a' (in container '')\n | a && b\n | ^\nERROR: <input>:1:6: undeclared reference to 'b' (in container '')\n | a && b\n | .....^",
    'text.startsWith(1)':
      "ERROR: <input>:1:16: found no matching overload for 'startsWith' applied to 'string.(int)'\n | text.startsWith(1)\n | ...............^",
    "[1, 'a']": "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^",
    'text.all(x, true)':
      "ERROR: <input>:1:1: expression of type 'string' cannot be range of a comprehension (must be list, map, or dynamic)\n | text.all(x, true)\n | ^",
  };
  for (const [source, expected] of Object.entries(cases))
    assert.equal(
      failure(() => environment.compile(source)),
      expected,
    );
  assert.equal(
    failure(() => run('object.data.x')),
    'no such key: data',
  );
  assert.equal(
    failure(() => run('[1][3]')),
    'index out of bounds: 3',
  );
  assert.equal(
    failure(() => run('1 / 0')),
    'division by zero',
  );
  assert.equal(
    failure(() => run('9223372036854775807 + 1')),
    'integer overflow',
  );
  assert.equal(
    failure(() => run('object.spec.replicas.startsWith("x")')),
    'no such overload',
  );
});

test('an evaluation that costs too much is stopped', () => {
  const source =
    'lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, a + b + c >= 0)))';
  assert.equal(
    failure(() => run(source)),
    'operation cancelled: actual cost limit exceeded',
  );
});

test('the cost is estimated from the bounds of types', () => {
  const bounded = new CelEnvironment({
    variables: {
      self: listType(
        { ...celTypes.string, bounds: { maxElements: 10, minSerializedSize: 2 } },
        { maxElements: 5, minSerializedSize: 2 },
      ),
    },
  });
  // The list 1; for each of 5: condition 2, comparing at most 10 characters 1, reading 2; the result 1.
  assert.deepEqual(bounded.compile("self.all(e, e != 'bad')").estimatedCost, { min: 2, max: 27 });
  assert.equal(environment.compile('strings.all(e, strings.exists(f, f != e))').estimatedCost.max, Infinity);
});
