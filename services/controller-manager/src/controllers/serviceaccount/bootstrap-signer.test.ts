import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { signedData, signingToken } from './bootstrap-signer.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

function token(change: Record<string, string>, name = 'bootstrap-token-abcdef'): KubeObject {
  const data = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-signing': 'true',
    ...change,
  };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'kube-system' },
    data: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  } as KubeObject;
}

test('which tokens sign', () => {
  assert.deepEqual(signingToken(token({}), nowMs), { id: 'abcdef', secret: '0123456789abcdef' });
  assert.ok(signingToken(token({ expiration: '2026-01-01T00:00:01Z' }), nowMs));
  assert.equal(signingToken(token({ expiration: '2026-01-01T00:00:00Z' }), nowMs), undefined);
  assert.equal(signingToken(token({ expiration: 'soon' }), nowMs), undefined);
  assert.equal(signingToken(token({ 'usage-bootstrap-signing': 'false' }), nowMs), undefined);
  assert.equal(signingToken(token({ 'token-secret': '' }), nowMs), undefined);
  assert.equal(signingToken(token({}, 'bootstrap-token-zzzzzz'), nowMs), undefined);
});

test('cluster-info has the signatures of live tokens and no others', () => {
  const data = { kubeconfig: 'apiVersion: v1\n', 'jws-kubeconfig-gone00': 'x..y', other: 'kept' };
  const signed = signedData(data, [{ id: 'abcdef', secret: '0123456789abcdef' }]);
  assert.deepEqual(Object.keys(signed).sort(), ['jws-kubeconfig-abcdef', 'kubeconfig', 'other']);
  const [header = '', payload, signature] = (signed['jws-kubeconfig-abcdef'] as string).split('.');
  assert.equal(payload, '');
  assert.deepEqual(JSON.parse(Buffer.from(header, 'base64url').toString()), { alg: 'HS256', kid: 'abcdef' });
  const expected = createHmac('sha256', '0123456789abcdef')
    .update(`${header}.${Buffer.from(data.kubeconfig).toString('base64url')}`)
    .digest('base64url');
  assert.equal(signature, expected);
  assert.deepEqual(signedData({ other: 'a' }, [{ id: 'abcdef', secret: 's' }]), { other: 'a' });
});
