import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import type { WebhookAuthorizerOptions } from '../authorization/webhook/webhook-authorizer.ts';
import { webhookAuthorizer } from '../authorization/webhook/webhook-authorizer.ts';
import type { DecisionCache } from './decision-cache.ts';

test('an answer of an authorization webhook counts for all servers, and no longer for being shared', async () => {
  let nowMs = 1000;
  const clock = { now: () => nowMs, monotonic: () => nowMs } as Clock;
  const kept = new Map<string, unknown>();
  const decisions: DecisionCache = {
    get: (scope, key) => Promise.resolve(kept.get(`${scope} ${key}`)),
    set: (scope, key, value) => void kept.set(`${scope} ${key}`, value),
  };
  let asked = 0;
  const endpoint = {
    post: () => {
      asked++;
      return Promise.resolve({ status: { allowed: true } });
    },
  } as unknown as WebhookAuthorizerOptions['endpoint'];
  const server = (scope: string) =>
    webhookAuthorizer({
      name: 'webhook',
      endpoint,
      reviewVersion: 'v1',
      timeoutMs: 1000,
      authorizedTtlMs: 10_000,
      unauthorizedTtlMs: 1000,
      onError: 'noOpinion',
      conditions: [],
      clock,
      logger: silentLogger,
      shared: { decisions, scope },
    });
  const question = {
    user: { name: 'jane', groups: [] },
    verb: 'get',
    isResourceRequest: true,
    namespace: 'default',
    apiGroup: '',
    apiVersion: 'v1',
    resource: 'pods',
    subresource: '',
    name: 'web',
    path: '',
  };
  const [first, second, other] = [server('a'), server('a'), server('b')];
  assert.equal((await first.authorize(question)).decision, 'allow');
  nowMs += 9000;
  assert.equal((await second.authorize(question)).decision, 'allow');
  assert.equal(asked, 1, 'The second server has the answer from the first');
  await other.authorize(question);
  assert.equal(asked, 2, 'Another configuration asks for itself');
  nowMs += 2000;
  kept.clear();
  await second.authorize(question);
  assert.equal(asked, 3, 'The second keeps it to the end that the first gave it');
});
