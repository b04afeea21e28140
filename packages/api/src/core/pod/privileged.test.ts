import assert from 'node:assert/strict';
import { test } from 'node:test';
import { strategyFor } from '../../strategies.ts';
import { withoutPrivileged } from './privileged.ts';

const spec = {
  containers: [
    { name: 'c', image: 'i' },
    { name: 'd', securityContext: { privileged: true } },
  ],
};
const context = { featureEnabled: () => true } as never;

test('privileged containers are refused wherever a kind keeps its pods, when the server does not allow them', () => {
  const deployment = withoutPrivileged(strategyFor('apps', 'deployments', 'v1', 'Deployment'));
  const object = {
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    metadata: { name: 'd' },
    spec: { template: { spec } },
  };
  const errors = deployment.validate?.(object as never, context) ?? [];
  assert.deepEqual(
    errors.filter((error) => error.field.endsWith('privileged')).map((error) => [error.field, error.message]),
    [
      [
        'spec.template.spec.containers[1].securityContext.privileged',
        'Forbidden: disallowed by cluster policy',
      ],
    ],
  );
});

test('so are containers that are processes of a Windows host', () => {
  const pods = withoutPrivileged(strategyFor('', 'pods', 'v1', 'Pod'));
  const securityContext = { windowsOptions: { hostProcess: true } };
  const object = {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: 'p' },
    spec: { hostNetwork: true, containers: [{ name: 'c', image: 'i', securityContext }] },
  };
  const errors = (pods.validate?.(object as never, context) ?? []).map(
    ({ field, message }) => `${field}: ${message}`,
  );
  assert.ok(errors.includes('spec: Forbidden: hostProcess containers are disallowed by cluster policy'));
});

test('kinds without pods keep their strategy', () => {
  const maps = strategyFor('', 'configmaps', 'v1', 'ConfigMap');
  assert.equal(withoutPrivileged(maps), maps);
});
