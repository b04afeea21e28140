import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import type { AdmissionAttributes } from '../interface.ts';
import { breakGlassGroup, WebhookBreaker } from './breaker.ts';

const from = (namespace: string, resource = 'configmaps', groups: string[] = []): AdmissionAttributes =>
  ({
    namespace,
    resource: { group: '', version: 'v1', resource },
    user: { name: 'u', groups },
  }) as unknown as AdmissionAttributes;

function dead(enabled = true) {
  let nowMs = 0;
  const breaker = new WebhookBreaker({ monotonic: () => nowMs } as unknown as Clock, { enabled });
  const told = [1, 2, 3, 4, 5, 6].map(() => breaker.failed('w'));
  return { breaker, told, advance: (ms: number) => (nowMs += ms) };
}

test('a webhook that failed five times in a row is refused for users and skipped for the cluster', () => {
  const { breaker, told } = dead();
  assert.deepEqual(told, [false, false, false, false, true, false]);
  assert.equal(breaker.decide('w', from('default')), 'refuse');
  assert.equal(breaker.decide('w', from('kube-system')), 'skip');
  assert.equal(breaker.decide('w', from('kube-node-lease')), 'skip');
  assert.equal(breaker.decide('w', from('', 'nodes')), 'skip');
  assert.equal(breaker.decide('w', from('default', 'pods', [breakGlassGroup])), 'skip');
  assert.equal(breaker.decide('other', from('default')), 'call');
});

test('a dead webhook is tried once a second and comes back with its first answer', () => {
  const { breaker, advance } = dead();
  advance(1000);
  assert.equal(breaker.decide('w', from('default')), 'call');
  assert.equal(breaker.decide('w', from('default')), 'refuse');
  breaker.answered('w');
  assert.equal(breaker.decide('w', from('default')), 'call');
  assert.equal(breaker.decide('w', from('kube-system')), 'call');
});

test('switched off, nothing is skipped', () => {
  assert.equal(dead(false).breaker.decide('w', from('kube-system')), 'call');
});
