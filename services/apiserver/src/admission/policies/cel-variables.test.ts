import assert from 'node:assert/strict';
import { test } from 'node:test';
import { celValue, composedVariables, policyExpression } from './cel-variables.ts';
import { boundPolicies } from './policy.ts';

test('expressions see whole numbers as int and members by has()', () => {
  const scope = { object: celValue({ spec: { replicas: 4 }, metadata: { labels: { owner: 'me' } } }) };
  assert.equal(policyExpression('object.spec.replicas <= 3')(scope), false);
  assert.equal(
    policyExpression("has(object.metadata.labels) && 'owner' in object.metadata.labels")(scope),
    true,
  );
  assert.equal(policyExpression('has(object.status)')(scope), false);
  assert.throws(() => policyExpression('object.status.replicas > 1')(scope), /No such key: status/);
});

test('variables may refer to each other and fail only where they are read', () => {
  const scope: Record<string, unknown> = { object: celValue({ n: 2 }) };
  scope['variables'] = composedVariables(
    [
      { name: 'double', expression: 'object.n * 2' },
      { name: 'more', expression: 'variables.double + 1' },
      { name: 'broken', expression: 'object.nothing' },
    ],
    scope,
  );
  assert.equal(policyExpression('variables.more == 5')(scope), true);
  assert.throws(() => policyExpression('variables.broken')(scope));
});

test('only bindings of policies that exist have effect', () => {
  const object = (name: string, spec: object) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: '',
    metadata: { name },
    spec,
  });
  const bound = boundPolicies(
    [object('p', { validations: [] })],
    [
      object('b2', { policyName: 'p' }),
      object('b1', { policyName: 'p' }),
      object('x', { policyName: 'gone' }),
    ],
  );
  assert.deepEqual(
    bound.map(({ bindingName }) => bindingName),
    ['b1', 'b2'],
  );
});
