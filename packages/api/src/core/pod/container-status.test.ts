import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { StrategyContext } from '../../strategy.ts';
import { podStatusHooks } from './status.ts';

const context = { featureEnabled: () => true } as unknown as StrategyContext;

function texts(spec: object, before: object, after: object): string[] {
  const old = { metadata: { name: 'p' }, spec, status: before } as KubeObject;
  const pod = { metadata: { name: 'p' }, status: structuredClone(after) } as KubeObject;
  podStatusHooks.prepareForUpdate?.(pod, old, context);
  return (podStatusHooks.validateUpdate?.(pod, old, context) ?? []).map(
    (each) => `${each.field}: ${each.message}`,
  );
}

const ended = (name: string, exitCode: number): object => ({ name, state: { terminated: { exitCode } } });
const running = (name: string): object => ({ name, state: { running: {} } });
const forbidden = 'Forbidden: may not be transitioned to non-terminated state';

it('containers that ended run again only where their policy says so', () => {
  const spec = {
    restartPolicy: 'Never',
    initContainers: [{ name: 'side', restartPolicy: 'Always' }],
    containers: [
      { name: 'a' },
      {
        name: 'b',
        restartPolicy: 'Never',
        restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
      },
    ],
  };
  const before = {
    initContainerStatuses: [ended('side', 0)],
    containerStatuses: [ended('a', 1), ended('b', 42)],
    ephemeralContainerStatuses: [ended('debug', 1)],
  };
  const after = {
    initContainerStatuses: [running('side')],
    containerStatuses: [running('b'), running('a')],
    ephemeralContainerStatuses: [running('debug')],
  };
  assert.deepEqual(texts(spec, before, after), [
    `status.containerStatuses[0].state: ${forbidden}`,
    `status.ephemeralContainerStatuses[0].state: ${forbidden}`,
  ]);
  assert.deepEqual(texts({ ...spec, restartPolicy: 'OnFailure' }, before, after), [
    `status.ephemeralContainerStatuses[0].state: ${forbidden}`,
  ]);
});

it('claims, allocated resources and users are those of the spec', () => {
  const spec = {
    resourceClaims: [{ name: 'gpu' }],
    containers: [{ name: 'a', resources: { requests: { 'example.com/dev': '1' } } }],
  };
  const after = {
    resourceClaimStatuses: [{ name: 'gpu' }, { name: 'gpu' }, { name: 'other' }],
    containerStatuses: [
      {
        name: 'a',
        user: { linux: { uid: -1, gid: 0 } },
        allocatedResourcesStatus: [
          { name: 'example.com/dev', resources: [{ resourceID: 'x', health: 'Sick' }] },
          { name: 'claim:none' },
        ],
      },
    ],
  };
  assert.deepEqual(
    texts(spec, {}, after).map((each) => each.split(': ').slice(0, 2).join(': ')),
    [
      'status.resourceClaimStatuses[1].name: Duplicate value',
      'status.resourceClaimStatuses[2].name: Invalid value',
      'status.containerStatuses[0].user.linux.uid: Invalid value',
      'status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value',
      'status.containerStatuses[0].allocatedResourcesStatus[1].name: Invalid value',
    ],
  );
});

it('observed generations stay when a writer leaves them out', () => {
  const old = {
    metadata: {},
    spec: {},
    status: { observedGeneration: 4, conditions: [{ type: 'Ready', observedGeneration: 3 }] },
  } as unknown as KubeObject;
  const pod = {
    metadata: {},
    status: { conditions: [{ type: 'Ready' }, { type: 'Ready' }] },
  } as unknown as KubeObject;
  podStatusHooks.prepareForUpdate?.(pod, old, context);
  assert.deepEqual(pod['status'], {
    observedGeneration: 4,
    conditions: [{ type: 'Ready', observedGeneration: 3 }, { type: 'Ready' }],
  });
});
