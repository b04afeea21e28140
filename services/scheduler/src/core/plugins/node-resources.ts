import { freedResources, nodeOf, podItselfChanged } from '../event-hints.ts';
import type { Plugin } from '../framework.ts';
import { refuse } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import type { StatusCode } from '../status.ts';
import type { ResourceWeight, ScoringStrategy } from './resource-scoring.ts';
import { balanceScore, defaultResourceWeights, strategyScore } from './resource-scoring.ts';

const name = 'NodeResourcesFit';

/** NodeResourcesFitArgs. */
export interface FitOptions {
  /** Extended resources that are not looked at, by name and by the part before the slash. */
  readonly ignoredResources: ReadonlySet<string>;
  readonly ignoredResourceGroups: ReadonlySet<string>;
  readonly scoringStrategy: ScoringStrategy;
}

const noNames: ReadonlySet<string> = new Set();
export const defaultFit: FitOptions = {
  ignoredResources: noNames,
  ignoredResourceGroups: noNames,
  scoringStrategy: { type: 'LeastAllocated', resources: defaultResourceWeights },
};

function isEmptyRequest(pod: PodInfo): boolean {
  const { cpu, memory, ephemeralStorage, scalar } = pod.requests;
  return cpu === 0 && memory === 0 && ephemeralStorage === 0 && scalar === undefined;
}

/** What of the pod's requests the node lacks: `Insufficient cpu` and so on, with whether removing pods could help. */
export function insufficientResources(
  pod: PodInfo,
  node: NodeInfo,
  { ignoredResources, ignoredResourceGroups }: FitOptions = defaultFit,
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
      if (ignoredResources.has(resource)) continue;
      if (ignoredResourceGroups.size > 0 && ignoredResourceGroups.has(resource.split('/')[0] ?? '')) continue;
      check(resource, wanted, allocatable.scalar?.get(resource) ?? 0, requested.scalar?.get(resource) ?? 0);
    }
  }
  return { reasons, resolvable };
}

/** Whether a node has room for what a pod requests, and which room is the best. */
export function nodeResourcesFit(options: FitOptions = defaultFit): Plugin {
  return {
    name,
    filter: ({ pod }, node) => {
      const { reasons, resolvable } = insufficientResources(pod, node, options);
      if (reasons.length === 0) return undefined;
      const code: StatusCode = resolvable ? 'unschedulable' : 'unschedulableAndUnresolvable';
      return refuse(name, code, ...reasons);
    },
    score: ({ pod }, node) => strategyScore(options.scoringStrategy, pod, node),
    mayHelp: (pod, event) => {
      if (podItselfChanged(pod, event) || freedResources(pod, event)) return true;
      if (event.resource !== 'Node' || event.object === undefined) return false;
      const now = nodeOf(event.object);
      if (insufficientResources(pod, now, options).reasons.length > 0) return false;
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
}

/** Where a pod leaves the use of resources balanced. */
export function balancedAllocation(resources: readonly ResourceWeight[] = defaultResourceWeights): Plugin {
  return {
    name: 'NodeResourcesBalancedAllocation',
    preScore: ({ pod }) => isEmptyRequest(pod),
    score: ({ pod }, node) => balanceScore(resources, pod, node),
  };
}
