import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decodeYaml, encodeYaml } from '../index.ts';

const words = 'LimitRanger plugin set: cpu request for container c; cpu limit for container c and more';

it('long texts go on in the next line at the first space after 80 columns', () => {
  const cases: readonly [unknown, string][] = [
    [
      { metadata: { annotations: { 'kubernetes.io/limit-ranger': words } } },
      "metadata:\n  annotations:\n    kubernetes.io/limit-ranger: 'LimitRanger plugin set: cpu request for container\n      c; cpu limit for container c and more'\n",
    ],
    [
      { a: [{ message: `${'plain '.repeat(13)}text that goes on` }] },
      `a:\n- message: ${'plain '.repeat(11)}plain\n    plain text that goes on\n`,
    ],
    // Two spaces are no place to break a plain text.
    [{ a: `${'x'.repeat(90)}  y` }, `a: ${'x'.repeat(90)}  y\n`],
    [{ a: `${'\u0001'.repeat(30)}  y z` }, `a: "${'\\x01'.repeat(30)}\n  \\ y z"\n`],
    [{ a: 'short text' }, 'a: short text\n'],
  ];
  for (const [value, text] of cases) {
    assert.equal(encodeYaml(value), text);
    assert.deepEqual(decodeYaml(text).value, value);
  }
});
