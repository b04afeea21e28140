import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { test } from 'node:test';
import { legacyTokenSigner } from './legacy-token.ts';

const claims = { namespace: 'ns', secretName: 't', accountName: 'x', accountUid: 'u-1' };

for (const [algorithm, pair] of [
  ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
] as const) {
  test(`a legacy token has the claims of its secret and a valid ${algorithm} signature`, () => {
    const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const [header = '', payload = '', signature = ''] = legacyTokenSigner(pem).sign(claims).split('.');
    assert.equal(JSON.parse(Buffer.from(header, 'base64url').toString()).alg, algorithm);
    assert.deepEqual(JSON.parse(Buffer.from(payload, 'base64url').toString()), {
      iss: 'kubernetes/serviceaccount',
      'kubernetes.io/serviceaccount/namespace': 'ns',
      'kubernetes.io/serviceaccount/secret.name': 't',
      'kubernetes.io/serviceaccount/service-account.name': 'x',
      'kubernetes.io/serviceaccount/service-account.uid': 'u-1',
      sub: 'system:serviceaccount:ns:x',
    });
    const key = { key: pair.publicKey, dsaEncoding: 'ieee-p1363' } as const;
    assert.ok(
      verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')),
    );
  });
}

test('other keys are refused', () => {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  assert.throws(() => legacyTokenSigner(pem), /expected an RSA or ECDSA private key/);
});
