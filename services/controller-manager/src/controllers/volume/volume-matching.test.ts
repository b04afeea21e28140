import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { boundByController, claimBoundTo, unboundVolume, volumeBoundTo } from './binding.ts';
import { findVolume, mismatch } from './volume-matching.ts';

const volume = (name: string, storage: string, change: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], storageClassName: 's', ...change },
  status: { phase: 'Available' },
});
const claim = (storage: string, change: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'c', namespace: 'ns', uid: 'u-1' },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 's',
    resources: { requests: { storage } },
    ...change,
  },
});
const nameOf = (found: KubeObject | undefined): string | undefined => found?.metadata.name;

test('the smallest volume that fits is taken', () => {
  const volumes = [volume('a', '5Gi'), volume('b', '2Gi'), volume('c', '1Gi')];
  assert.equal(nameOf(findVolume(claim('1500Mi'), volumes, false)), 'b');
  assert.equal(nameOf(findVolume(claim('6Gi'), volumes, false)), undefined);
});

test('a volume reserved for the claim wins, one reserved for another is not taken', () => {
  const reserved = volume('r', '9Gi', { claimRef: { namespace: 'ns', name: 'c' } });
  const others = volume('o', '1Gi', { claimRef: { namespace: 'ns', name: 'd' } });
  assert.equal(nameOf(findVolume(claim('1Gi'), [volume('a', '1Gi'), reserved], false)), 'r');
  assert.equal(nameOf(findVolume(claim('1Gi'), [others], false)), undefined);
});

test('mode, class and access must agree, and a delayed claim takes only what is reserved', () => {
  assert.equal(
    nameOf(findVolume(claim('1Gi'), [volume('a', '1Gi', { volumeMode: 'Block' })], false)),
    undefined,
  );
  assert.equal(
    nameOf(findVolume(claim('1Gi'), [volume('a', '1Gi', { storageClassName: 'x' })], false)),
    undefined,
  );
  assert.equal(
    nameOf(findVolume(claim('1Gi', { accessModes: ['ReadWriteMany'] }), [volume('a', '1Gi')], false)),
    undefined,
  );
  assert.equal(nameOf(findVolume(claim('1Gi'), [volume('a', '1Gi')], true)), undefined);
  assert.equal(mismatch(volume('a', '1Gi'), claim('2Gi')), 'requested PV is too small');
});

test('binding marks what the controller chose, and only that', () => {
  const bound = volumeBoundTo(volume('a', '1Gi'), claim('1Gi')) as KubeObject;
  assert.equal(bound.metadata.annotations?.[boundByController], 'yes');
  assert.equal(volumeBoundTo(bound, claim('1Gi')), undefined);
  assert.equal(unboundVolume(bound)['spec'].claimRef, undefined);
  const reserved = volume('r', '1Gi', { claimRef: { namespace: 'ns', name: 'c' } });
  const taken = volumeBoundTo(reserved, claim('1Gi')) as KubeObject;
  assert.equal(taken.metadata.annotations, undefined);
  assert.deepEqual(unboundVolume(taken)['spec'].claimRef, { namespace: 'ns', name: 'c' });
  const chosen = claimBoundTo(claim('1Gi', { volumeName: 'r' }), reserved) as KubeObject;
  assert.equal(chosen.metadata.annotations?.[boundByController], undefined);
  assert.equal(claimBoundTo(chosen, reserved), undefined);
});
