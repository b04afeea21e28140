import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { webhookTokenAuthenticator } from './webhook-token.ts';

let nowMs = 0;
const clock: Clock = { ...nodeClock, monotonic: () => nowMs };

function webhook(status: object | Error, more: { cacheTtlMs?: number } = {}) {
  const asked: { spec: { token: string; audiences?: string[] }; apiVersion: string }[] = [];
  const authenticator = webhookTokenAuthenticator({
    endpoint: {
      post: (review) => {
        asked.push(review as (typeof asked)[0]);
        return status instanceof Error ? Promise.reject(status) : Promise.resolve({ status });
      },
    },
    version: 'v1',
    cacheTtlMs: more.cacheTtlMs ?? 1000,
    apiAudiences: ['api'],
    clock,
  });
  return { authenticator, asked };
}
const jane = {
  authenticated: true,
  user: { username: 'jane', uid: '1', groups: ['a'], extra: { k: ['v'] } },
};

test('an answer gives the user, and counts for its time', async () => {
  const { authenticator, asked } = webhook(jane);
  const ask = (token: string) => authenticator.authenticateToken(token, ['api']);
  const expected = {
    user: { name: 'jane', uid: '1', groups: ['a'], extra: { k: ['v'] } },
    audiences: ['api'],
  };
  assert.deepEqual(await Promise.all([ask('t'), ask('t'), ask('t')]), [expected, expected, expected]);
  assert.equal(asked.length, 1, 'requests with one token ask once');
  assert.deepEqual(asked[0]?.spec, { token: 't', audiences: ['api'] });
  nowMs += 999;
  await ask('t');
  assert.equal(asked.length, 1);
  nowMs += 2;
  await ask('t');
  assert.equal(asked.length, 2);
  await ask('u');
  await authenticator.authenticateToken('t', ['other', 'api']);
  assert.equal(asked.length, 4, 'another token or another audience is another question');
});

test('a no is kept too, a failure is not', async () => {
  const no = webhook({ authenticated: false, error: 'unknown token' });
  for (let index = 0; index < 2; index++)
    await assert.rejects(no.authenticator.authenticateToken('t', ['api']), /^Error: unknown token$/);
  assert.equal(no.asked.length, 1);
  const broken = webhook(new Error('connection refused'));
  for (let index = 0; index < 2; index++)
    await assert.rejects(broken.authenticator.authenticateToken('t', ['api']), /connection refused/);
  assert.equal(broken.asked.length, 2);
});

test('audiences of the answer must meet those asked for', async () => {
  const { authenticator } = webhook({ ...jane, audiences: ['vault'] });
  assert.equal(await authenticator.authenticateToken('t', ['api']), undefined);
  assert.deepEqual((await authenticator.authenticateToken('t', ['vault', 'api']))?.audiences, ['vault']);
});
