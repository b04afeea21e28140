import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { strategyFor } from '../index.ts';
import type { StrategyContext } from '../strategy.ts';
import { selectorValue } from './workload.ts';

test('messages print the labels of a selector in order', () => {
  assert.equal(
    JSON.stringify(selectorValue({ matchLabels: { b: '1', All: '2' }, matchExpressions: [{ key: 'k' }] })),
    '{"matchLabels":{"All":"2","b":"1"},"matchExpressions":[{"key":"k","operator":""}]}',
  );
});

test('a template is only looked at when its selector can be used', () => {
  const strategy = strategyFor('apps', 'deployments', 'v1', 'Deployment');
  const told = (matchLabels: object): string[] => {
    const object = {
      metadata: {},
      spec: { selector: { matchLabels }, template: { metadata: { labels: { a: 'b' } }, spec: {} } },
    } as unknown as KubeObject;
    return (strategy.validate?.(object, {} as StrategyContext) ?? []).map((each) => each.field);
  };
  assert.ok(told({ a: 'b' }).includes('spec.template.spec.containers'));
  const bad = told({ a: 'b/c' });
  assert.deepEqual(bad.slice(0, 2), ['spec.selector.matchLabels', 'spec.selector']);
  assert.ok(!bad.some((field) => field.startsWith('spec.template')));
});
