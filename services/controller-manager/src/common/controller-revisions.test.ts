import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { RestClient } from '@pilothouse/client';
import { hashLabels, revisionData, syncRevisions } from './controller-revisions.ts';

/** Answers writes with what was written, as an API server without conflicts does. */
const echo = {
  create: (_resource: unknown, object: KubeObject) => Promise.resolve(object),
  update: (_resource: unknown, object: KubeObject) => Promise.resolve(object),
} as unknown as RestClient;

const template = { metadata: { labels: { app: 'web' } }, spec: {} };
const owner: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'web', namespace: 'default', uid: '1' },
  spec: { template },
};

for (const [kind, label] of Object.entries(hashLabels)) {
  test(`a revision of a ${kind} has the label ${label}`, async () => {
    const { current } = await syncRevisions(echo, owner, { apiVersion: 'apps/v1', kind }, [], 0);
    const hash = current.metadata.labels?.[label];
    assert.ok(hash);
    assert.equal(current.metadata.name, `web-${hash}`);
    assert.deepEqual(Object.keys(current.metadata.labels ?? {}).sort(), ['app', label].sort());
  });
}

test('a current revision without the label gets one and keeps its number', async () => {
  const bare: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'web-old', namespace: 'default' },
    data: revisionData(template),
    revision: 4,
  };
  const { current, all } = await syncRevisions(
    echo,
    owner,
    { apiVersion: 'apps/v1', kind: 'DaemonSet' },
    [bare],
    0,
  );
  assert.deepEqual(current.metadata.labels, { [hashLabels.DaemonSet]: 'web-old' });
  assert.equal(current['revision'], 4);
  assert.equal(all.length, 1);
});

test('the data of a revision has sorted keys, as clients that compare bytes expect', () => {
  assert.equal(
    JSON.stringify(revisionData({ spec: { b: 1, a: [{ d: 1, c: 2 }] }, metadata: {} })),
    '{"spec":{"template":{"$patch":"replace","metadata":{},"spec":{"a":[{"c":2,"d":1}],"b":1}}}}',
  );
});
