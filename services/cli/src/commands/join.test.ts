import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { createAuthority } from '@pilothouse/host';
import { X509Certificate } from 'node:crypto';
import { caHashOf, detachedSignature } from './join.ts';

test('the signature of cluster-info is a detached JWS that the token verifies', () => {
  // Recomputed with `printf %s HEADER.PAYLOAD | openssl dgst -sha256 -hmac 0123456789abcdef -binary | base64`, made url-safe.
  const one = detachedSignature('hello', 'abcdef', '0123456789abcdef');
  assert.equal(one, 'eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..MxsnbCjBaYzcbNIFa06F-wuF9LX26rhMlrL4zA1511s');
  assert.equal(one.split('.').length, 3);
  assert.notEqual(one, detachedSignature('hallo', 'abcdef', '0123456789abcdef'));
  assert.notEqual(one, detachedSignature('hello', 'abcdef', '0123456789abcdee'));
});

test('the CA hash is of the public key alone', async () => {
  const { certPem } = await createAuthority('test', Date.now() - 1000, Date.now() + 3_600_000);
  const der = new X509Certificate(certPem).publicKey.export({ type: 'spki', format: 'der' });
  assert.equal(caHashOf(certPem), `sha256:${createHash('sha256').update(der).digest('hex')}`);
});
