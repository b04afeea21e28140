import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { clusterTrustBundleStrategy } from './cluster-trust-bundle.ts';

/** A certificate of an authority for elliptic curve keys, good until 2126. */
const authority = `-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUYTLcxYKca9Kzdz50r/M4pOjmAz0wCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjEyMTAzMTFaGA8yMTI2MTAyODIxMDMxMVow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOcw8mqg0Q55
HuIhLkTg0CnreEANUhH+gymWumS3gjyROJerV1cYH2lIXlQNR2j/Y9ZaQezJv1qD
kohrRyiX1OCjUzBRMB0GA1UdDgQWBBQr4JbPRPeX51yxalbIy5HULTSUwTAfBgNV
HSMEGDAWgBQr4JbPRPeX51yxalbIy5HULTSUwTAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQCyKv2bkkqDxVso7CYJOK9EREF4Y5Epb/Xvctpjk5D9
QQIgJ8kq9WDv/2LcfS1flWy68+xoAe2IyPRl57hNJ2zeByo=
-----END CERTIFICATE-----
`;
/** The same key without the CA bit. */
const leaf = `-----BEGIN CERTIFICATE-----
MIIBbTCCARKgAwIBAgIUXcQgqULdqgiWdc4UHDnvXFHFEDgwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjEyMTAzMTJaGA8yMTI2MTAyODIxMDMxMlow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOcw8mqg0Q55
HuIhLkTg0CnreEANUhH+gymWumS3gjyROJerV1cYH2lIXlQNR2j/Y9ZaQezJv1qD
kohrRyiX1OCjUDBOMB0GA1UdDgQWBBQr4JbPRPeX51yxalbIy5HULTSUwTAfBgNV
HSMEGDAWgBQr4JbPRPeX51yxalbIy5HULTSUwTAMBgNVHRMBAf8EAjAAMAoGCCqG
SM49BAMCA0kAMEYCIQDVCePNGHMwJMhT2sLxGqSDva/KRVym5JMWhgxyMFgQNAIh
ALOdF45PqNeiIcfDiDZg6UOD08lvirjA2x9OvDITBT/u
-----END CERTIFICATE-----
`;

const bundle = (name: string, trustBundle: string, signerName?: string): KubeObject => ({
  metadata: { name },
  spec: { trustBundle, ...(signerName === undefined ? {} : { signerName }) },
});
const context = { featureEnabled: () => true } as never;
const check = (object: KubeObject): string[] =>
  (clusterTrustBundleStrategy.validate?.(object, context) ?? []).map(
    ({ field, message }) => `${field}: ${message}`,
  );
const omitted = 'spec.trustBundle: Invalid value: "<value omitted>": ';

test('a bundle holds certificates of authorities, each once', () => {
  assert.deepEqual(check(bundle('b', `comment\n${authority}`)), []);
  assert.deepEqual(check(bundle('b', '')), [`${omitted}at least one trust anchor must be provided`]);
  assert.deepEqual(check(bundle('b', leaf)), [`${omitted}entry 0 does not have the CA bit set`]);
  assert.deepEqual(check(bundle('b', `${authority}${authority}`)), [
    `${omitted}duplicate trust anchor (indices [0 1])`,
  ]);
  assert.deepEqual(check(bundle('b', authority.replaceAll('CERTIFICATE', 'PRIVATE KEY'))), [
    `${omitted}entry 0 has bad block type: PRIVATE KEY`,
  ]);
  assert.deepEqual(check(bundle('b', authority.replace('-----\n', '-----\nA: b\n\n'))), [
    `${omitted}entry 0 has PEM block headers`,
  ]);
  for (const body of ['MAA=', 'MIIB', 'MIT/////MA=='])
    assert.deepEqual(
      check(bundle('b', `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`)),
      [`${omitted}entry 0 does not parse as X.509`],
      body,
    );
});

test('a bundle of beginnings without end is read in one pass', () => {
  const lines = '-----BEGIN CERTIFICATE-----\n'.repeat(37_000);
  assert.deepEqual(check(bundle('b', lines)), [`${omitted}at least one trust anchor must be provided`]);
  assert.deepEqual(check(bundle('b', 'x'.repeat(1024 * 1024 + 1))), [
    'spec.trustBundle: Too long: may not be more than 1048576 bytes',
  ]);
});

test('bundles of a signer are named by it', () => {
  const signer = 'example.com/mine';
  assert.deepEqual(check(bundle('example.com:mine:b', authority, signer)), []);
  assert.deepEqual(check(bundle('b', authority, signer)), [
    'metadata.name: Invalid value: "b": ClusterTrustBundle for signerName example.com/mine must be named with prefix example.com:mine:',
  ]);
  assert.deepEqual(check(bundle('a:b', authority)), [
    'metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have ":" in its name',
  ]);
  assert.match(check(bundle('nosigner:b', authority, 'nosigner')).join(), /spec.signerName: Invalid value/);
});

test('an update keeps the signer, and looks at anchors that changed only', () => {
  const update = (object: KubeObject, old: KubeObject): string[] =>
    (clusterTrustBundleStrategy.validateUpdate?.(object, old, context) ?? []).map(({ field }) => field);
  assert.deepEqual(update(bundle('b', 'old'), bundle('b', 'old')), []);
  assert.deepEqual(update(bundle('b', 'new'), bundle('b', 'old')), ['spec.trustBundle']);
  assert.deepEqual(
    update(
      bundle('example.com:mine:b', authority, 'example.com/mine'),
      bundle('example.com:mine:b', authority),
    ),
    ['spec.signerName'],
  );
});
