import type { KubeObject } from '@pilothouse/apimachinery';
import { parseQuantity, Quantity } from '@pilothouse/apimachinery';
import type { Amounts } from './pod-resources.ts';
import { amountsOf, podAmounts } from './pod-resources.ts';
import { podSpec } from './pod-shape.ts';

const one = Quantity.fromUnits(1);

/** Core resources whose plain name counts objects, beside `count/<name>`. */
const plainCounts = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'pods',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
]);

/** What one object takes from quotas, by quota resource. */
export function usageOf(
  resource: { group: string; resource: string },
  object: KubeObject,
  nowMs: number,
): Amounts {
  const usage: Amounts = new Map();
  const name = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
  usage.set(`count/${name}`, one);
  if (resource.group !== '') return usage;
  if (resource.resource === 'pods') {
    addPod(usage, object, nowMs);
    return usage;
  }
  if (plainCounts.has(resource.resource)) usage.set(resource.resource, one);
  if (resource.resource === 'services') addService(usage, object);
  else if (resource.resource === 'persistentvolumeclaims') addClaim(usage, object);
  return usage;
}

/** Whether a pod still counts: it has not ended, and its grace period after deletion is not over. */
function isActivePod(pod: KubeObject, nowMs: number): boolean {
  const phase = pod['status']?.phase as string | undefined;
  if (phase === 'Failed' || phase === 'Succeeded') return false;
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds === undefined) return true;
  return nowMs <= Date.parse(deletionTimestamp) + Number(deletionGracePeriodSeconds) * 1000;
}

function addPod(usage: Amounts, pod: KubeObject, nowMs: number): void {
  if (!isActivePod(pod, nowMs)) return;
  usage.set('pods', one);
  const spec = podSpec(pod);
  for (const [name, amount] of podAmounts(spec, 'requests')) {
    usage.set(`requests.${name}`, amount);
    if (
      name === 'cpu' ||
      name === 'memory' ||
      name === 'ephemeral-storage' ||
      name.startsWith('hugepages-')
    ) {
      usage.set(name, amount);
    }
  }
  for (const [name, amount] of podAmounts(spec, 'limits')) {
    if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage')
      usage.set(`limits.${name}`, amount);
  }
}

function addService(usage: Amounts, service: KubeObject): void {
  const spec = (service['spec'] ?? {}) as {
    type?: string;
    ports?: { nodePort?: number }[];
    allocateLoadBalancerNodePorts?: boolean;
  };
  const ports = spec.ports ?? [];
  const zero = Quantity.fromUnits(0);
  usage.set('services.nodeports', zero);
  usage.set('services.loadbalancers', zero);
  if (spec.type === 'NodePort') usage.set('services.nodeports', Quantity.fromUnits(ports.length));
  if (spec.type === 'LoadBalancer') {
    const count =
      spec.allocateLoadBalancerNodePorts === false
        ? ports.filter((port) => (port.nodePort ?? 0) !== 0).length
        : ports.length;
    usage.set('services.nodeports', Quantity.fromUnits(count));
    usage.set('services.loadbalancers', one);
  }
}

function addClaim(usage: Amounts, claim: KubeObject): void {
  const className =
    claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ??
    (claim['spec']?.storageClassName as string | undefined) ??
    '';
  const prefix = `${className}.storageclass.storage.k8s.io/`;
  if (className !== '') usage.set(`${prefix}persistentvolumeclaims`, one);
  const text = claim['spec']?.resources?.requests?.storage as string | undefined;
  if (text === undefined) return;
  // While a claim shrinks back, what it still holds counts.
  const held = amountsOf(claim['status']?.allocatedResources as Record<string, string> | undefined).get(
    'storage',
  );
  const asked = parseQuantity(text);
  const size = held !== undefined && held.compare(asked) > 0 ? held : asked;
  usage.set('requests.storage', size);
  if (className !== '') usage.set(`${prefix}requests.storage`, size);
}
