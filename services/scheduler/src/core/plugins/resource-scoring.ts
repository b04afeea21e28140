import { maxNodeScore } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import type { Resources } from '../resources.ts';

/** A resource that scores look at, and how much it counts. */
export interface ResourceWeight {
  readonly name: string;
  readonly weight: number;
}

/** A point of a broken line from utilization (0…100) to score (0…10). */
export interface ShapePoint {
  readonly utilization: number;
  readonly score: number;
}

/** KubeSchedulerConfiguration's ScoringStrategy. */
export type ScoringStrategy =
  | { readonly type: 'LeastAllocated' | 'MostAllocated'; readonly resources: readonly ResourceWeight[] }
  | {
      readonly type: 'RequestedToCapacityRatio';
      readonly resources: readonly ResourceWeight[];
      readonly shape: readonly ShapePoint[];
    };

export const defaultResourceWeights: readonly ResourceWeight[] = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
];

/** Scores of a shape go to 10, those of plugins to 100. */
const shapeScoreMax = 10;

/** Of one resource: what the node has, what pods on it take, and what they and the new pod take. All 0: it does not count. */
export interface Allocation {
  readonly allocatable: number;
  readonly allocated: number;
  readonly requested: number;
}

const nothing: Allocation = { allocatable: 0, allocated: 0, requested: 0 };

/** `isStated`: only what is requested counts, not the defaults for containers that state nothing. */
export function allocationOf(resource: string, pod: PodInfo, node: NodeInfo, isStated: boolean): Allocation {
  const wanted = amountOf(resource, isStated ? pod.requests : pod.scoreRequests);
  // An extended resource that the pod does not ask for says nothing about the node.
  if (wanted === 0 && isExtended(resource)) return nothing;
  const allocatable = amountOf(resource, node.allocatable);
  if (allocatable === 0) return nothing;
  const allocated = amountOf(resource, isStated ? node.requested : node.scoreRequested);
  return { allocatable, allocated, requested: allocated + wanted };
}

function amountOf(resource: string, resources: Resources): number {
  if (resource === 'cpu') return resources.cpu;
  if (resource === 'memory') return resources.memory;
  if (resource === 'ephemeral-storage') return resources.ephemeralStorage;
  return resources.scalar?.get(resource) ?? 0;
}

function isExtended(resource: string): boolean {
  return resource !== 'cpu' && resource !== 'memory' && resource !== 'ephemeral-storage';
}

/** 0…100 for a pod on a node. */
export function strategyScore(strategy: ScoringStrategy, pod: PodInfo, node: NodeInfo): number {
  let sum = 0;
  let weights = 0;
  for (const { name, weight } of strategy.resources) {
    const { allocatable, requested } = allocationOf(name, pod, node, false);
    if (allocatable === 0) continue;
    const score = resourceScore(strategy, requested, allocatable);
    // A ratio of 0 is no opinion; the other strategies count it.
    if (strategy.type === 'RequestedToCapacityRatio' && score <= 0) continue;
    sum += score * weight;
    weights += weight;
  }
  if (weights === 0) return 0;
  return strategy.type === 'RequestedToCapacityRatio' ? Math.round(sum / weights) : Math.floor(sum / weights);
}

function resourceScore(strategy: ScoringStrategy, requested: number, allocatable: number): number {
  switch (strategy.type) {
    case 'LeastAllocated':
      return requested > allocatable
        ? 0
        : Math.floor(((allocatable - requested) * maxNodeScore) / allocatable);
    case 'MostAllocated':
      return Math.floor((Math.min(requested, allocatable) * maxNodeScore) / allocatable);
    case 'RequestedToCapacityRatio': {
      const utilization = requested > allocatable ? 100 : Math.floor((requested * 100) / allocatable);
      return brokenLine(strategy.shape, utilization);
    }
  }
}

function brokenLine(shape: readonly ShapePoint[], utilization: number): number {
  const scale = maxNodeScore / shapeScoreMax;
  const after = shape.findIndex((point) => utilization <= point.utilization);
  if (after <= 0) return (shape.at(after)?.score ?? 0) * scale;
  const left = shape[after - 1] as ShapePoint;
  const right = shape[after] as ShapePoint;
  const rise = (right.score - left.score) * scale * (utilization - left.utilization);
  return left.score * scale + Math.trunc(rise / (right.utilization - left.utilization));
}

/** 50…100: 75 where the pod leaves the balance between resources as it is, more where it improves it (v1.34 and later). */
export function balanceScore(resources: readonly ResourceWeight[], pod: PodInfo, node: NodeInfo): number {
  const allocations = resources
    .map(({ name }) => allocationOf(name, pod, node, true))
    .filter(({ allocatable }) => allocatable !== 0);
  const score = (used: (allocation: Allocation) => number): number => {
    const fractions = allocations.map((each) => Math.min(1, used(each) / each.allocatable));
    return Math.floor((1 - deviation(fractions)) * maxNodeScore);
  };
  const change = score(({ requested }) => requested) - score(({ allocated }) => allocated);
  return maxNodeScore / 2 + Math.trunc((maxNodeScore / 2 + change) / 2);
}

function deviation(fractions: readonly number[]): number {
  if (fractions.length < 2) return 0;
  const [first, second] = fractions as [number, number];
  if (fractions.length === 2) return Math.abs((first - second) / 2);
  const mean = fractions.reduce((sum, each) => sum + each, 0) / fractions.length;
  const squares = fractions.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  return Math.sqrt(squares / fractions.length);
}
