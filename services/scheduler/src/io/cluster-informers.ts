import type { KubeObject } from '@pilothouse/apimachinery';
import type { Informer, InformerFactory } from '@pilothouse/client';
import type { ClusterView } from '../core/framework.ts';
import type { PodInfo } from '../core/pod-info.ts';
import { podInfoOf } from '../core/pod-info.ts';
import { claimNames } from '../core/plugins/volumes.ts';
import { refs } from './resources.ts';

/** The local copies of everything that scheduling looks at. */
export interface ClusterInformers {
  readonly pods: Informer;
  readonly nodes: Informer;
  readonly namespaces: Informer;
  readonly services: Informer;
  readonly replicationControllers: Informer;
  readonly replicaSets: Informer;
  readonly statefulSets: Informer;
  readonly claims: Informer;
  readonly volumes: Informer;
  readonly storageClasses: Informer;
  readonly disruptionBudgets: Informer;
}

export function clusterInformers(factory: InformerFactory): ClusterInformers {
  const pods = factory.informer(refs.pods, { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' });
  pods.addIndex('claim', (pod) =>
    claimNames(podInfoOf(pod)).map((name) => `${pod.metadata.namespace ?? ''}/${name}`),
  );
  return {
    pods,
    nodes: factory.informer(refs.nodes),
    namespaces: factory.informer(refs.namespaces),
    services: factory.informer(refs.services),
    replicationControllers: factory.informer(refs.replicationControllers),
    replicaSets: factory.informer(refs.replicaSets),
    statefulSets: factory.informer(refs.statefulSets),
    claims: factory.informer(refs.claims),
    volumes: factory.informer(refs.volumes),
    storageClasses: factory.informer(refs.storageClasses),
    disruptionBudgets: factory.informer(refs.disruptionBudgets),
  };
}

export function clusterView(informers: ClusterInformers): ClusterView {
  return {
    namespaceLabels: (namespace) => informers.namespaces.lister.get(namespace)?.metadata.labels,
    defaultSelector: (pod) => defaultSelector(informers, pod),
    claim: (namespace, name) => informers.claims.lister.get(name, namespace),
    volume: (name) => informers.volumes.lister.get(name),
    volumes: () => informers.volumes.lister.list(),
    storageClass: (name) => informers.storageClasses.lister.get(name),
    disruptionBudgets: (namespace) => informers.disruptionBudgets.lister.list(namespace),
    claimUsers: (namespace, name) =>
      informers.pods.lister.byIndex('claim', `${namespace}/${name}`).map(podInfoOf),
  };
}

/** What the services of a pod and its controlling workload select on, put together. */
function defaultSelector(informers: ClusterInformers, pod: PodInfo): ReadonlyMap<string, string> | undefined {
  const out = new Map<string, string>();
  const add = (set: Readonly<Record<string, string>> | undefined): void => {
    for (const [key, value] of Object.entries(set ?? {})) out.set(key, value);
  };
  for (const service of informers.services.lister.list(pod.namespace)) {
    const selector = service['spec']?.selector as Record<string, string> | undefined;
    if (selector === undefined || Object.keys(selector).length === 0) continue;
    if (Object.entries(selector).every(([key, value]) => pod.labels[key] === value)) add(selector);
  }
  const owner = pod.pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner !== undefined) {
    const workload = (informer: Informer): KubeObject | undefined =>
      informer.lister.get(owner.name, pod.namespace);
    if (owner.kind === 'ReplicationController')
      add(workload(informers.replicationControllers)?.['spec']?.selector);
    else if (owner.kind === 'ReplicaSet')
      add(workload(informers.replicaSets)?.['spec']?.selector?.matchLabels);
    else if (owner.kind === 'StatefulSet')
      add(workload(informers.statefulSets)?.['spec']?.selector?.matchLabels);
  }
  return out.size === 0 ? undefined : out;
}
