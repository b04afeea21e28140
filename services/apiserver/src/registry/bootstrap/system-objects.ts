import type { KubeObject } from '@pilothouse/apimachinery';
import { deepClone, deepEqual } from '../../storage/deep.ts';
import type { InternalClient } from '../rest/rest-storage.ts';
import { ensureObject } from './ensure.ts';
import type { EnsureClient } from './managed-client.ts';
import { autoUpdateAnnotation, flowSchemas, mandatoryFlowControl, priorityLevels } from './flow-control.ts';

/** Namespaces that always exist. */
export const systemNamespaces: readonly string[] = [
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'default',
];

const priorityClasses: readonly KubeObject[] = [
  {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
    preemptionPolicy: 'PreemptLowerPriority',
  },
  {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
    preemptionPolicy: 'PreemptLowerPriority',
  },
];

export async function ensureNamespaces(client: InternalClient): Promise<void> {
  for (const name of systemNamespaces) {
    await ensureObject(client, 'namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    });
  }
}

export async function ensurePriorityClasses(client: InternalClient): Promise<void> {
  for (const wanted of priorityClasses) await ensureObject(client, 'priorityclasses', wanted);
}

/** Flow schemas and priority levels. What an administrator took over (annotation at `false`) stays as it is, mandatory ones do not. */
export async function ensureFlowControl(client: EnsureClient): Promise<void> {
  const keep =
    (wanted: KubeObject) =>
    (existing: KubeObject): KubeObject | undefined => {
      const isOurs =
        mandatoryFlowControl.has(wanted.metadata.name ?? '') ||
        existing.metadata.annotations?.[autoUpdateAnnotation] === 'true';
      if (!isOurs || specEqual(existing['spec'], wanted['spec'])) return undefined;
      existing['spec'] = deepClone(wanted['spec'] as unknown);
      return existing;
    };
  for (const wanted of priorityLevels) {
    await ensureObject(client, 'prioritylevelconfigurations', wanted, keep(wanted));
  }
  for (const wanted of flowSchemas) await ensureObject(client, 'flowschemas', wanted, keep(wanted));
}

/** Compares what the data here says; defaults that the server added do not count. */
function specEqual(existing: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return existing === wanted;
  if (typeof existing !== 'object' || existing === null) return false;
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(existing) &&
      existing.length === wanted.length &&
      wanted.every((each, index) => specEqual(existing[index], each))
    );
  }
  return Object.entries(wanted).every(
    ([key, value]) =>
      deepEqual((existing as Record<string, unknown>)[key], value) ||
      specEqual((existing as Record<string, unknown>)[key], value),
  );
}
