import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { StrategyContext } from '../../strategy.ts';
import { resizeHooks } from './resize.ts';
import { podStrategy } from './strategy.ts';

const container = (name: string, requests: object, more: object = {}): object => ({
  name,
  image: 'i',
  resources: { requests },
  ...more,
});

function pod(containers: object[], more: object = {}, status: object = {}): KubeObject {
  const made = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', generation: 1 },
    spec: { containers, ...more },
    status,
  };
  podStrategy.defaults?.(made);
  return made;
}

const nothing = {} as StrategyContext;

/** The findings of a resize from `old` to what `now` wants. */
function resize(old: KubeObject, now: KubeObject): string[] {
  const object = structuredClone(now);
  resizeHooks.prepareForUpdate?.(object, structuredClone(old), nothing);
  return (resizeHooks.validateUpdate?.(object, old, nothing) ?? []).map(
    (each) => `${each.field}: ${each.message}`,
  );
}

const old = pod([container('a', { cpu: '1' }), container('b', { cpu: '1' })]);

test('CPU and memory change, and nothing else does', () => {
  const object = pod([container('a', { cpu: '2' }), container('b', { cpu: '1' }, { image: 'other' })]);
  resizeHooks.prepareForUpdate?.(object, old, nothing);
  assert.equal(object['spec'].containers[0].resources.requests.cpu, '2');
  assert.equal(object['spec'].containers[1].image, 'i');
  assert.equal(object.metadata.generation, 2);
  assert.deepEqual(
    resize(old, pod([container('a', { cpu: '1', 'x.example/y': '1' }), container('b', { cpu: '1' })])).slice(
      -1,
    ),
    ['spec: Forbidden: only cpu and memory resources are mutable'],
  );
});

test('a container without amounts stays as it is', () => {
  const plain = pod([{ name: 'a', image: 'i' }]);
  delete plain['spec'].containers[0].resources;
  assert.deepEqual(resize(plain, pod([container('a', {})])), []);
});

test('containers keep their number, names and order', () => {
  assert.deepEqual(resize(old, pod([container('a', { cpu: '1' })])), [
    'spec.containers: Forbidden: containers may not be added or removed on resize',
  ]);
  assert.deepEqual(resize(old, pod([container('b', { cpu: '1' }), container('a', { cpu: '1' })])), [
    'spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize',
    'spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize',
  ]);
});

test('amounts are not removed, and the class of the pod stays', () => {
  assert.deepEqual(resize(old, pod([container('a', {}), container('b', { cpu: '1' })])), [
    'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
  ]);
  assert.deepEqual(resize(pod([container('a', {})]), pod([container('a', { cpu: '1' })])), [
    'spec: Invalid value: "": Pod QOS Class may not change as a result of resizing',
  ]);
});

test('init containers are resized unless that would restart them', () => {
  const one = (cpu: string, policy: string): KubeObject =>
    pod([container('a', { cpu: '1' })], {
      initContainers: [
        container('i', { cpu }, { resizePolicy: [{ resourceName: 'cpu', restartPolicy: policy }] }),
      ],
    });
  assert.deepEqual(resize(one('1', 'NotRequired'), one('2', 'NotRequired')), []);
  assert.match(
    resize(one('1', 'RestartContainer'), one('2', 'RestartContainer')).at(-1) ?? '',
    /non-sidecar init containers/,
  );
});

test('a node that tells no resources cannot resize', () => {
  const running = { containerStatuses: [{ name: 'a', state: { running: {} } }] };
  const on = pod([container('a', { cpu: '1' })], {}, running);
  assert.deepEqual(resize(on, pod([container('a', { cpu: '2' })])), [
    'spec: Forbidden: Pod running on node without support for resize',
  ]);
});
