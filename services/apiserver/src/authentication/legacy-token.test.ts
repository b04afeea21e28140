import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { SignJWT } from 'jose';
import { MemoryObjectAccess } from '../security/memory-object-access.ts';
import { resources } from '../security/object-access.ts';
import { legacyTokenAuthenticator } from './legacy-token.ts';
import { readVerificationKeys } from './service-account-keys.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const prefix = 'kubernetes.io/serviceaccount/';
const sign = (more: Record<string, unknown> = {}): Promise<string> =>
  new SignJWT({
    iss: 'kubernetes/serviceaccount',
    sub: 'system:serviceaccount:ns:robot',
    [`${prefix}namespace`]: 'ns',
    [`${prefix}secret.name`]: 's',
    [`${prefix}service-account.name`]: 'robot',
    [`${prefix}service-account.uid`]: 'u1',
    ...more,
  })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(privateKey);

test('a token of a secret works while the secret holds it and its account is there', async () => {
  const objects = new MemoryObjectAccess();
  const tokens = legacyTokenAuthenticator({
    keys: readVerificationKeys(publicKey.export({ type: 'spki', format: 'pem' }) as string),
    apiAudiences: ['api'],
    lookup: true,
    objects,
    clock: { ...nodeClock, now: () => Date.parse('2026-05-06T07:08:09Z') },
    logger: silentLogger,
  });
  const ask = async (token: string) => tokens.authenticateToken(token, ['api']);
  const token = await sign();
  const put = (labels?: Record<string, string>, content = token) =>
    objects.put(resources.secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's', namespace: 'ns', ...(labels === undefined ? {} : { labels }) },
      data: { token: Buffer.from(content).toString('base64') },
    });
  const account = (uid: string) =>
    objects.put(resources.serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'robot', namespace: 'ns', uid },
    });
  await assert.rejects(ask(token), /Token has been invalidated/);
  put();
  await assert.rejects(ask(token), /ServiceAccount ns\/robot has been deleted/);
  account('u2');
  await assert.rejects(ask(token), /ServiceAccount UID \(u2\) does not match claim \(u1\)/);
  account('u1');
  assert.deepEqual(await ask(token), {
    user: {
      name: 'system:serviceaccount:ns:robot',
      uid: 'u1',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:ns'],
    },
    audiences: ['api'],
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(objects.cached(resources.secrets).get('ns', 's')?.metadata.labels, {
    'kubernetes.io/legacy-token-last-used': '2026-05-06',
  });
  put({ 'kubernetes.io/legacy-token-invalid-since': '2026-01-01' });
  await assert.rejects(ask(token), /has been marked invalid/);
  put(undefined, 'another');
  await assert.rejects(ask(token), /Token does not match server's copy/);
  await assert.rejects(ask(await sign({ sub: 'system:serviceaccount:ns:admin' })), /sub claim is invalid/);
  await assert.rejects(ask(`${token.slice(0, -4)}AAAA`), /error in cryptographic primitive/);
  assert.equal(await ask(await sign({ iss: 'https://elsewhere' })), undefined);
});
