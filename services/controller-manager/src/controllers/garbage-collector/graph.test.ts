import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { OwnershipGraph } from './graph.ts';

const ref = { group: '', version: 'v1', resource: 'configmaps' };
const object = (uid: string, owners: string[] = [], extra: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: uid,
    namespace: 'd',
    uid,
    ownerReferences: owners.map((owner) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: owner,
      uid: owner,
      blockOwnerDeletion: true,
    })),
    ...extra,
  },
});
const uids = (nodes: readonly { uid: string }[]): string[] => nodes.map((node) => node.uid).sort();

test('OwnershipGraph asks for an owner that no watch has shown', () => {
  const graph = new OwnershipGraph();
  const { attemptToDelete } = graph.upsert(ref, object('child', ['owner']));
  assert.deepEqual(uids(attemptToDelete), ['child', 'owner']);
  assert.equal(graph.node('owner')?.isVirtual, true);
});

test('OwnershipGraph looks at the dependents of a removed object', () => {
  const graph = new OwnershipGraph();
  graph.upsert(ref, object('owner'));
  graph.upsert(ref, object('child', ['owner']));
  assert.deepEqual(uids(graph.remove('owner').attemptToDelete), ['child']);
  assert.equal(graph.isAbsent('owner'), true);
});

test('OwnershipGraph starts a foreground deletion at owner and dependents, and tells when the last blocker is gone', () => {
  const graph = new OwnershipGraph();
  graph.upsert(ref, object('owner'));
  graph.upsert(ref, object('child', ['owner']));
  const effects = graph.upsert(
    ref,
    object('owner', [], { deletionTimestamp: 'now', finalizers: ['foregroundDeletion'] }),
  );
  assert.deepEqual(uids(effects.attemptToDelete), ['child', 'owner']);
  const owner = graph.node('owner');
  assert.ok(owner);
  assert.deepEqual(uids(graph.blockingDependents(owner)), ['child']);
  assert.deepEqual(uids(graph.remove('child').attemptToDelete), ['owner']);
  assert.deepEqual(graph.blockingDependents(owner), []);
});

test('OwnershipGraph orphans only once the object is being deleted', () => {
  const graph = new OwnershipGraph();
  assert.deepEqual(graph.upsert(ref, object('owner', [], { finalizers: ['orphan'] })).attemptToOrphan, []);
  assert.deepEqual(
    uids(
      graph.upsert(ref, object('owner', [], { finalizers: ['orphan'], deletionTimestamp: 'now' }))
        .attemptToOrphan,
    ),
    ['owner'],
  );
});
