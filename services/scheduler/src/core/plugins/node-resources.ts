import { freedResources, nodeOf, podItselfChanged } from '../event-hints.ts';
import type { Plugin } from '../framework.ts';
import { refuse } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import type { StatusCode } from '../status.ts';

const name = 'NodeResourcesFit';

function isEmptyRequest(pod: PodInfo): boolean {
  const { cpu, memory, ephemeralStorage, scalar } = pod.requests;
  return cpu === 0 && memory === 0 && ephemeralStorage === 0 && scalar === undefined;
}

/** What of the pod's requests the node lacks: `Insufficient cpu` and so on, with whether removing pods could help. */
export function insufficientResources(
  pod: PodInfo,
  node: NodeInfo,
): { reasons: string[]; resolvable: boolean } {
  const reasons: string[] = [];
  let resolvable = true;
  if (node.pods.size + 1 > node.podsMax) {
    reasons.push('Too many pods');
    if (node.podsMax < 1) resolvable = false;
  }
  if (isEmptyRequest(pod)) return { reasons, resolvable };
  const check = (resource: string, wanted: number, allocatable: number, used: number): void => {
    if (wanted <= 0 || wanted <= allocatable - used) return;
    reasons.push(`Insufficient ${resource}`);
    if (wanted > allocatable) resolvable = false;
  };
  const { requests } = pod;
  const { allocatable, requested } = node;
  check('cpu', requests.cpu, allocatable.cpu, requested.cpu);
  check('memory', requests.memory, allocatable.memory, requested.memory);
  check(
    'ephemeral-storage',
    requests.ephemeralStorage,
    allocatable.ephemeralStorage,
    requested.ephemeralStorage,
  );
  if (requests.scalar !== undefined) {
    for (const [resource, wanted] of requests.scalar) {
      check(resource, wanted, allocatable.scalar?.get(resource) ?? 0, requested.scalar?.get(resource) ?? 0);
    }
  }
  return { reasons, resolvable };
}

export const nodeResourcesFit: Plugin = {
  name,
  weight: 1,
  filter: ({ pod }, node) => {
    const { reasons, resolvable } = insufficientResources(pod, node);
    if (reasons.length === 0) return undefined;
    const code: StatusCode = resolvable ? 'unschedulable' : 'unschedulableAndUnresolvable';
    return refuse(name, code, ...reasons);
  },
  // The emptier the node, the better (LeastAllocated).
  score: ({ pod }, node) => {
    let sum = 0;
    let weights = 0;
    const part = (allocatable: number, used: number): void => {
      if (allocatable === 0) return;
      weights++;
      if (used <= allocatable) sum += Math.floor(((allocatable - used) * 100) / allocatable);
    };
    part(node.allocatable.cpu, node.scoreRequested.cpu + pod.scoreRequests.cpu);
    part(node.allocatable.memory, node.scoreRequested.memory + pod.scoreRequests.memory);
    return weights === 0 ? 0 : Math.floor(sum / weights);
  },
  mayHelp: (pod, event) => {
    if (podItselfChanged(pod, event) || freedResources(pod, event)) return true;
    if (event.resource !== 'Node' || event.object === undefined) return false;
    const now = nodeOf(event.object);
    if (insufficientResources(pod, now).reasons.length > 0) return false;
    if (event.old === undefined) return true;
    // More of what the pod asks for; or a taint or mark gone that hid the room there was.
    const before = nodeOf(event.old);
    return (
      now.podsMax > before.podsMax ||
      now.allocatable.cpu > before.allocatable.cpu ||
      now.allocatable.memory > before.allocatable.memory ||
      now.allocatable.ephemeralStorage > before.allocatable.ephemeralStorage ||
      [...(pod.requests.scalar?.keys() ?? [])].some(
        (resource) =>
          (now.allocatable.scalar?.get(resource) ?? 0) > (before.allocatable.scalar?.get(resource) ?? 0),
      )
    );
  },
};

export const balancedAllocation: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  preScore: ({ pod }) => isEmptyRequest(pod),
  score: ({ pod }, node) => {
    const fraction = (allocatable: number, used: number): number | undefined =>
      allocatable === 0 ? undefined : Math.min(1, used / allocatable);
    const cpu = fraction(node.allocatable.cpu, node.requested.cpu + pod.requests.cpu);
    const memory = fraction(node.allocatable.memory, node.requested.memory + pod.requests.memory);
    const deviation = cpu === undefined || memory === undefined ? 0 : Math.abs(cpu - memory) / 2;
    return Math.floor((1 - deviation) * 100);
  },
};
