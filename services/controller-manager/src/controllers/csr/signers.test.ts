import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SigningRequest } from '@pilothouse/host';
import { signers } from './signers.ts';

const node: SigningRequest = {
  commonName: 'system:node:n0',
  organizations: ['system:nodes'],
  dnsNames: [],
  ipAddresses: [],
  emailAddresses: [],
  uris: [],
  publicKeyDer: new Uint8Array(),
};
const clientUsages = ['digital signature', 'client auth'];
const serverUsages = ['key encipherment', 'digital signature', 'server auth'];

function problem(
  signer: string,
  request: Partial<SigningRequest>,
  usages: readonly string[],
): string | undefined {
  return signers[`kubernetes.io/${signer}`]?.({ ...node, ...request }, usages);
}

test('a kubelet client certificate: subject, names and usages', () => {
  const check = (request: Partial<SigningRequest>, usages = clientUsages): string | undefined =>
    problem('kube-apiserver-client-kubelet', request, usages);
  assert.equal(check({}), undefined);
  assert.equal(check({}, [...clientUsages, 'key encipherment']), undefined);
  assert.equal(
    check({}, ['client auth']),
    'usages did not match [client auth digital signature key encipherment]',
  );
  assert.equal(
    check({ organizations: ['system:nodes', 'system:masters'] }),
    'subject organization is not system:nodes',
  );
  assert.equal(check({ dnsNames: ['n0'] }), 'DNS subjectAltNames are not allowed');
  assert.equal(check({ ipAddresses: ['192.0.2.1'] }), 'IP subjectAltNames are not allowed');
  assert.equal(check({ emailAddresses: ['a@example'] }), 'Email subjectAltNames are not allowed');
  assert.equal(check({ uris: ['spiffe://n0'] }), 'URI subjectAltNames are not allowed');
  assert.equal(check({ commonName: 'n0' }), 'subject common name does not begin with system:node:');
});

test('a kubelet serving certificate needs a DNS name or an address, and nothing else', () => {
  const check = (request: Partial<SigningRequest>, usages = serverUsages): string | undefined =>
    problem('kubelet-serving', request, usages);
  assert.equal(check({}), 'DNS or IP subjectAltName is required');
  assert.equal(check({ dnsNames: ['n0'] }), undefined);
  assert.equal(check({ ipAddresses: ['192.0.2.1'] }, ['digital signature', 'server auth']), undefined);
  assert.equal(check({ dnsNames: ['n0'], uris: ['a:b'] }), 'URI subjectAltNames are not allowed');
  assert.equal(
    check({ dnsNames: ['n0'] }, clientUsages),
    'usages did not match [digital signature key encipherment server auth]',
  );
});

test('other clients say client auth; legacy-unknown signs anything', () => {
  assert.equal(problem('kube-apiserver-client', { commonName: 'jane' }, ['client auth']), undefined);
  assert.equal(
    problem('kube-apiserver-client', {}, ['digital signature']),
    'missing required usage for client certificate: client auth',
  );
  assert.equal(
    problem('kube-apiserver-client', {}, ['client auth', 'server auth']),
    'invalid usage for client certificate: server auth',
  );
  assert.equal(problem('legacy-unknown', { organizations: [] }, ['code signing']), undefined);
  assert.equal(signers['kubernetes.io/other'], undefined);
});
