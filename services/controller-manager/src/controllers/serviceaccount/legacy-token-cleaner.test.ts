import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { TokenEvidence } from './legacy-token-cleaner.ts';
import { secretNames, tokenVerdict, trackedFromMs } from './legacy-token-cleaner.ts';

const dayMs = 86_400_000;
const nowMs = Date.parse('2026-06-15T10:00:00Z');

function verdict(labels: Record<string, string>, change: object = {}, more: Partial<TokenEvidence> = {}) {
  const secret = {
    metadata: {
      name: 's',
      namespace: 'ns',
      creationTimestamp: '2024-01-01T00:00:00Z',
      labels,
      annotations: { 'kubernetes.io/service-account.uid': 'u1' },
    },
    type: 'kubernetes.io/service-account-token',
    ...change,
  } as KubeObject;
  const account = { metadata: { name: 'a', uid: 'u1' }, secrets: [{ name: 's' }] } as unknown as KubeObject;
  return tokenVerdict(secret, { nowMs, unusedMs: 365 * dayMs, account, isMounted: false, ...more });
}

const used = (day: string) => ({ 'kubernetes.io/legacy-token-last-used': day });
const invalid = (day: string) => ({ 'kubernetes.io/legacy-token-invalid-since': day });

test('a generated token goes in two steps, each a year after the last use', () => {
  assert.equal(verdict({}), 'invalidate');
  assert.equal(verdict(used('2025-06-14')), 'invalidate');
  assert.equal(verdict(used('2025-06-15')), 'keep');
  assert.equal(verdict(invalid('2025-06-15')), 'keep');
  assert.equal(verdict(invalid('2025-06-14')), 'delete');
  assert.equal(verdict({ ...invalid('2025-06-14'), ...used('2026-01-01') }), 'keep');
  assert.equal(verdict(invalid('long ago')), 'invalidate');
  assert.equal(verdict(used('yesterday')), 'keep');
});

test('what may be in use, or was made by hand, stays', () => {
  assert.equal(verdict({}, { type: 'Opaque' }), 'keep');
  assert.equal(verdict({}, {}, { isMounted: true }), 'keep');
  assert.equal(verdict({}, {}, { account: undefined }), 'keep');
  const other = (account: object) => verdict({}, {}, { account: account as KubeObject });
  assert.equal(other({ metadata: { uid: 'u1' } }), 'keep');
  assert.equal(other({ metadata: { uid: 'u2' }, secrets: [{ name: 's' }] }), 'keep');
});

test('nothing is known before the day after tracking began', () => {
  const map = (since: string) => ({ metadata: {}, data: { since } }) as KubeObject;
  assert.equal(trackedFromMs(map('2026-01-01')), Date.parse('2026-01-02'));
  assert.equal(trackedFromMs(map('2026')), undefined);
  assert.equal(trackedFromMs(undefined), undefined);
});

test('secrets of a pod are found wherever they stand', () => {
  const spec = {
    imagePullSecrets: [{ name: 'pull' }],
    containers: [
      {
        name: 'not-this',
        env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'key', key: 'k' } } }],
        envFrom: [{ secretRef: { name: 'all' } }, { configMapRef: { name: 'nor-this' } }],
      },
    ],
    volumes: [
      { name: 'v', secret: { secretName: 'volume' } },
      { name: 'w', projected: { sources: [{ secret: { name: 'projected' } }] } },
      { name: 'x', csi: { nodePublishSecretRef: { name: 'csi' } } },
    ],
  };
  assert.deepEqual([...secretNames(spec)].sort(), ['all', 'csi', 'key', 'projected', 'pull', 'volume']);
});
