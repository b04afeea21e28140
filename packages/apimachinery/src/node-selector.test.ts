import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeTermMatches } from './node-selector.ts';

test('terms of node selectors: operators, fields, and the empty term', () => {
  const labels = { zone: 'a', cpus: '16', size: '1.5' };
  const holds = (key: string, operator: string, ...values: string[]): boolean =>
    nodeTermMatches({ matchExpressions: [{ key, operator, values }] }, labels, 'n1');
  assert.equal(holds('zone', 'In', 'a', 'b'), true);
  assert.equal(holds('zone', 'NotIn', 'a'), false);
  assert.equal(holds('none', 'NotIn', 'a'), true);
  assert.equal(holds('zone', 'Exists'), true);
  assert.equal(holds('constructor', 'Exists'), false, 'not a label');
  assert.equal(holds('none', 'DoesNotExist'), true);
  assert.equal(holds('cpus', 'Gt', '15'), true);
  assert.equal(holds('cpus', 'Lt', '16'), false);
  assert.equal(holds('size', 'Gt', '1'), false, 'no whole number');
  assert.equal(nodeTermMatches({}, labels, 'n1'), false);
  const named = { key: 'metadata.name', operator: 'In', values: ['n1'] };
  assert.equal(nodeTermMatches({ matchFields: [named] }, labels, 'n1'), true);
  assert.equal(nodeTermMatches({ matchFields: [named] }, labels, 'n2'), false);
});
