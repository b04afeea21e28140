import assert from 'node:assert/strict';
import type { KubeObject } from '@pilothouse/apimachinery';
import { SchedulerCache } from '../cache.ts';
import { defaultProfile } from '../default-profile.ts';
import type { ClusterView } from '../framework.ts';
import { Nominator } from '../nominator.ts';
import { podInfoOf } from '../pod-info.ts';
import type { Profile } from '../profile.ts';
import type { Placement } from '../scheduling-algorithm.ts';
import { SchedulingAlgorithm } from '../scheduling-algorithm.ts';

export interface World {
  readonly nodes?: readonly KubeObject[];
  readonly pods?: readonly KubeObject[];
  readonly budgets?: readonly KubeObject[];
  readonly claims?: readonly KubeObject[];
  readonly volumes?: readonly KubeObject[];
  readonly classes?: readonly KubeObject[];
  readonly profile?: Profile;
  /** Of the services and workloads behind every pod. */
  readonly selector?: ReadonlyMap<string, string>;
}

const named = (objects: readonly KubeObject[] | undefined, name: string): KubeObject | undefined =>
  objects?.find((object) => object.metadata.name === name);

export function world(setup: World): {
  algorithm: SchedulingAlgorithm;
  cache: SchedulerCache;
  nominator: Nominator;
} {
  const cache = new SchedulerCache();
  for (const node of setup.nodes ?? []) cache.setNode(node);
  for (const pod of setup.pods ?? []) cache.setPod(pod);
  const cluster: ClusterView = {
    namespaceLabels: (namespace) => ({ 'kubernetes.io/metadata.name': namespace }),
    defaultSelector: () => setup.selector,
    claim: (_namespace, name) => named(setup.claims, name),
    volume: (name) => named(setup.volumes, name),
    volumes: () => setup.volumes ?? [],
    storageClass: (name) => named(setup.classes, name),
    disruptionBudgets: () => setup.budgets ?? [],
    claimUsers: () => [],
  };
  const nominator = new Nominator();
  const random = { integer: () => 0, float: () => 0, bytes: (length: number) => new Uint8Array(length) };
  return {
    algorithm: new SchedulingAlgorithm({
      cache,
      nominator,
      cluster,
      profile: setup.profile ?? defaultProfile(),
      random,
    }),
    cache,
    nominator,
  };
}

export function node(
  name: string,
  options: {
    cpu?: string;
    labels?: Record<string, string>;
    taints?: object[];
    unschedulable?: boolean;
    pods?: string;
    extended?: Record<string, string>;
  } = {},
): KubeObject {
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...options.labels } },
    spec: { taints: options.taints ?? [], unschedulable: options.unschedulable ?? false },
    status: {
      allocatable: {
        cpu: options.cpu ?? '4',
        memory: '8Gi',
        pods: options.pods ?? '110',
        ...options.extended,
      },
    },
  };
}

let next = 0;
export function pod(
  name: string,
  spec: Record<string, unknown> = {},
  meta: Partial<KubeObject['metadata']> = {},
): KubeObject {
  const { requests, ...rest } = spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}-${next++}`, ...meta },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests } }], ...rest },
    status: {},
  };
}

export function place(setup: World, object: KubeObject): Placement {
  return world(setup).algorithm.schedule(podInfoOf(object));
}
export function nodeOf(placement: Placement): string {
  assert.equal(placement.kind, 'placed', placement.kind === 'unschedulable' ? placement.message : '');
  return placement.kind === 'placed' ? placement.nodeName : '';
}
export function message(placement: Placement): string {
  assert.equal(placement.kind, 'unschedulable');
  return placement.kind === 'unschedulable' ? placement.message : '';
}
export const three = [node('a'), node('b'), node('c')];
export const tail = (text: string): string => ` no new claims to deallocate, preemption: ${text}`;
export const useless = (count: number): string =>
  tail(`0/${count} nodes are available: ${count} Preemption is not helpful for scheduling.`);
