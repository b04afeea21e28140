import assert from 'node:assert/strict';
import { test } from 'node:test';
import { localVolumeFor, localVolumeProblem } from './local-volume-provisioner.ts';

const claim = (spec: object) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data-0', namespace: 'ns', uid: 'u-1' },
  spec,
});

test('a volume is a directory of the chosen node, bound in advance to its claim', () => {
  const volume = localVolumeFor(
    claim({
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'standard',
      resources: { requests: { storage: '8Gi' } },
    }),
    'node-1',
    'Delete',
    '/volumes',
  );
  assert.equal(volume.metadata.name, 'pvc-u-1');
  assert.equal(volume['spec'].hostPath.path, '/volumes/ns_data-0_pvc-u-1');
  assert.deepEqual(volume['spec'].capacity, { storage: '8Gi' });
  assert.equal(volume['spec'].claimRef.uid, 'u-1');
  assert.deepEqual(volume['spec'].nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values, [
    'node-1',
  ]);
});

test('what a directory of one node cannot be is refused', () => {
  assert.equal(localVolumeProblem(claim({ accessModes: ['ReadWriteOnce'] })), undefined);
  assert.match(localVolumeProblem(claim({ accessModes: ['ReadWriteMany'] })) ?? '', /ReadWriteMany/);
  assert.match(localVolumeProblem(claim({ volumeMode: 'Block' })) ?? '', /block/);
});
