import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { AuthStore } from '../../core/index.ts';
import { parseAuthToken, simpleTokens } from './auth-tokens.ts';
import type { StoreService } from './store-service.ts';

test('a member that lags behind a token catches up before it refuses it', async () => {
  let now = 0;
  const clock = { monotonic: () => now } as Parameters<typeof simpleTokens>[0];
  const known = new Map<string, string>();
  let barriers = 0;
  const machine = { appliedIndex: 41 };
  const service = {
    machine,
    options: { random: { bytes: (count: number) => new Uint8Array(count) } },
    propose: (command: { authenticate: { name: string; simpleToken: string } }) => {
      known.set(command.authenticate.simpleToken, command.authenticate.name);
      machine.appliedIndex = 42;
      return Promise.resolve({});
    },
    readBarrier: () => {
      barriers++;
      machine.appliedIndex = 42;
      return Promise.resolve();
    },
  } as unknown as StoreService;
  const auth = {
    revision: 3,
    userOfToken: (token: string) => known.get(token) ?? assert.fail(`unknown token ${token}`),
  } as unknown as AuthStore;
  const tokens = simpleTokens(clock, 1000);
  const token = await tokens.issue('alice', service);
  assert.match(token, /^[a-zA-Z]{16}\.42$/);
  assert.deepEqual(tokens.resolve(token, auth), { username: 'alice', revision: 3 });
  assert.equal(tokens.prepare(token, service), undefined, 'nothing to wait for');
  machine.appliedIndex = 41;
  await tokens.prepare(token, service);
  assert.equal(barriers, 1);
  now = 1;
  assert.equal(tokens.prepare('garbage', service), undefined);
});

test('the value of --auth-token is read or refused with what is wanted', () => {
  assert.equal(parseAuthToken('simple'), undefined);
  assert.deepEqual(parseAuthToken('jwt,pub-key=a.pem,priv-key=b.pem,sign-method=RS256,ttl=10m'), {
    signMethod: 'RS256',
    publicKeyFile: 'a.pem',
    privateKeyFile: 'b.pem',
    ttlMs: 600_000,
  });
  for (const value of [
    'other',
    'jwt',
    'jwt,sign-method=RS256',
    'jwt,sign-method=RS256,priv-key=a,ttl=0s',
    'jwt,what=1',
  ])
    assert.throws(() => parseAuthToken(value), /Invalid value ".*" for --auth-token/, value);
});
