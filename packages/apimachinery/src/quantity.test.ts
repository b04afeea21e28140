import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  canonicalQuantity,
  compareQuantities,
  parseQuantity,
  quantityMilliValue,
  quantityValue,
} from './quantity.ts';

test('a quantity is written canonically, or as given when nothing can be reduced', () => {
  // Recorded from a stock v1.36.3 client.
  const cases: Record<string, string> = {
    '1000m': '1',
    '0.5': '500m',
    '1024Ki': '1Mi',
    '1000Ki': '1000Ki',
    '1e3': '1e3',
    '1E': '1E',
    '1.5Gi': '1536Mi',
    '0.1': '100m',
    '1000000': '1M',
    '1000000k': '1G',
    '100000000000m': '100M',
    '2048Mi': '2Gi',
    '-0': '0',
    '00012': '00012',
    '1e-3': '1e-3',
    '.5': '500m',
    '5.': '5.',
    '+1': '+1',
    '1.50': '1500m',
    '100e-2': '1',
    '1000e3': '1e6',
    '01e3': '01e3',
    E: '0',
    '0.0000000001': '1n',
    '-1.5': '-1500m',
    '+1.5Gi': '1536Mi',
    '1E3': '1E3',
    '1e0': '1e0',
    '12e1': '120',
    '1e+3': '1e+3',
    '0.1Ki': '102400m',
    '0.5Ki': '512',
    '1025m': '1025m',
    '+1024Ki': '1Mi',
    '10.0k': '10k',
    '9999999999999999999999': '9999999999999999999999',
    '1e-12': '1e-9',
    '5e-10': '1e-9',
    '1.5e3': '1500',
    '1e4': '10e3',
    '1e30': '1e30',
    '8Ei': '9223372036854775807',
    '7Ei': '7Ei',
    '0.001Ki': '1024m',
    '1023.5': '1023500m',
    '1025.5Ki': '1050112',
    '-05Ki': '-05Ki',
    '0.5Mi': '512Ki',
  };
  for (const [input, expected] of Object.entries(cases))
    assert.equal(canonicalQuantity(input), expected, input);
  assert.equal(canonicalQuantity(0.25), '250m');
  assert.equal(canonicalQuantity(3), '3');
});

test('a text that is no quantity is refused with the text of upstream', () => {
  for (const bad of ['', '1x', '1.5.5', '1 Gi', '0x10', 'true', '1Ki5.']) {
    assert.throws(
      () => parseQuantity(bad),
      /quantities must match the regular expression '\^\(\[\+-\]\?\[0-9\.\]\+\)/,
      bad,
    );
  }
  for (const bad of ['1e', '1Ki5', '1i', '1mm'])
    assert.throws(() => parseQuantity(bad), /unable to parse quantity's suffix/, bad);
});

test('arithmetic keeps the format of the first operand', () => {
  assert.equal(parseQuantity('1Gi').add(parseQuantity('512M')).toString(), '1548576Ki');
  assert.equal(parseQuantity('1Gi').add(parseQuantity('1Gi')).toString(), '2Gi');
  assert.equal(parseQuantity('0').add(parseQuantity('1Ki')).toString(), '1Ki');
  assert.equal(parseQuantity('2').subtract(parseQuantity('500m')).toString(), '1500m');
  assert.equal(parseQuantity('100n').roundUpToMilli().toString(), '1m');
  assert.equal(compareQuantities('1024', '1Ki'), 0);
  assert.equal(compareQuantities('1', '1001m'), -1);
});

test('values round away from zero', () => {
  assert.equal(quantityValue('1.1'), 2);
  assert.equal(quantityValue('-1.1'), -2);
  assert.equal(quantityValue('2Gi'), 2 * 1024 ** 3);
  assert.equal(quantityMilliValue('250m'), 250);
  assert.equal(quantityMilliValue('2'), 2000);
  assert.equal(quantityMilliValue('1u'), 1);
});
