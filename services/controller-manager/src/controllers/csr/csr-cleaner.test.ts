import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { isStale } from './csr-cleaner.ts';

const nowMs = Date.parse('2026-01-02T12:00:00Z');
const csr = (created: string, status: object): KubeObject => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { name: 'c', creationTimestamp: created },
  status,
});
const decided = (type: string, at: string): object => ({
  conditions: [{ type, status: 'True', lastUpdateTime: at }],
});

test('requests go an hour after their decision, or a day after their making', () => {
  assert.equal(isStale(csr('2026-01-02T11:00:00Z', decided('Denied', '2026-01-02T11:30:00Z')), nowMs), false);
  assert.equal(isStale(csr('2026-01-02T10:00:00Z', decided('Denied', '2026-01-02T10:30:00Z')), nowMs), true);
  assert.equal(
    isStale(csr('2026-01-02T10:00:00Z', decided('Approved', '2026-01-02T10:30:00Z')), nowMs),
    false,
  );
  assert.equal(isStale(csr('2026-01-01T11:00:00Z', {}), nowMs), true);
  assert.equal(isStale(csr('2026-01-01T13:00:00Z', {}), nowMs), false);
});
