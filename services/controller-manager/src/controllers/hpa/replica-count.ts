import type { KubeObject } from '@pilothouse/apimachinery';
import { isPodReady, isPodTerminal, podCondition, podPhase } from '../../common/pods.ts';
import type { PodUsage } from './resource-metrics.ts';

/** `--horizontal-pod-autoscaler-tolerance`: no change while use is this near to the target. */
const tolerance = 0.1;
/** `--horizontal-pod-autoscaler-cpu-initialization-period` */
const cpuInitializationMs = 300_000;
/** `--horizontal-pod-autoscaler-initial-readiness-delay` */
const initialReadinessMs = 30_000;

export interface PodGroups {
  readonly counted: ReadonlySet<string>;
  /** Not ready yet: their use says nothing. */
  readonly unready: ReadonlySet<string>;
  readonly missing: ReadonlySet<string>;
}

/** Sorts pods by what their metrics are worth. Ended and deleted pods are in no group. */
export function groupPods(
  pods: readonly KubeObject[],
  usage: ReadonlyMap<string, PodUsage>,
  resource: string,
  nowMs: number,
): PodGroups {
  const counted = new Set<string>();
  const unready = new Set<string>();
  const missing = new Set<string>();
  for (const pod of pods) {
    const name = pod.metadata.name ?? '';
    if (pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) continue;
    const metric = usage.get(name);
    if (podPhase(pod) === 'Pending') unready.add(name);
    else if (!metric) missing.add(name);
    else if (resource === 'cpu' && isWarmingUp(pod, metric, nowMs)) unready.add(name);
    else counted.add(name);
  }
  return { counted, unready, missing };
}

/** Work done while starting up is no sign of load. */
function isWarmingUp(pod: KubeObject, metric: PodUsage, nowMs: number): boolean {
  const ready = podCondition(pod, 'Ready');
  const startMs = Date.parse((pod['status']?.startTime as string | undefined) ?? '');
  if (ready?.lastTransitionTime === undefined || Number.isNaN(startMs)) return true;
  const changedMs = Date.parse(ready.lastTransitionTime);
  if (startMs + cpuInitializationMs > nowMs)
    return !isPodReady(pod) || metric.atMs < changedMs + metric.windowMs;
  return !isPodReady(pod) && startMs + initialReadinessMs > changedMs;
}

export interface Target {
  /** Wanted use of each pod; with `requests`, in percent of them, else in thousandths of the unit. */
  readonly value: number;
  /** Thousandths that each pod asks for. */
  readonly requests?: ReadonlyMap<string, number>;
}

export interface ReplicaCount {
  readonly replicas: number;
  /** Percent of the requests; only with requests. */
  readonly utilization?: number;
  /** Mean use in thousandths. */
  readonly averageMilli: number;
}

function ratioOf(usage: ReadonlyMap<string, number>, target: Target): { ratio: number; percent?: number } {
  const used = [...usage.values()].reduce((total, each) => total + each, 0);
  if (!target.requests) return { ratio: used / usage.size / target.value };
  const requested = [...usage.keys()].reduce((total, name) => total + (target.requests?.get(name) ?? 0), 0);
  const percent = Math.trunc((used * 100) / requested);
  return { ratio: percent / target.value, percent };
}

const isNear = (ratio: number): boolean => Math.abs(ratio - 1) <= tolerance;

/**
 * How many pods would meet the target. Pods that say nothing damp the change: when shrinking they count as at the target, when
 * growing as idle. Throws when no pod counts.
 */
export function replicaCount(
  current: number,
  groups: PodGroups,
  usage: ReadonlyMap<string, PodUsage>,
  target: Target,
): ReplicaCount {
  const values = new Map<string, number>();
  for (const name of groups.counted) values.set(name, (usage.get(name) as PodUsage).milli);
  if (values.size === 0) throw new Error('did not receive metrics for targeted pods (pods might be unready)');
  const { ratio, percent } = ratioOf(values, target);
  const facts = {
    averageMilli: Math.trunc([...values.values()].reduce((total, each) => total + each, 0) / values.size),
    ...(percent === undefined ? {} : { utilization: percent }),
  };
  const growsWithUnready = groups.unready.size > 0 && ratio > 1;
  if (!growsWithUnready && groups.missing.size === 0)
    return { ...facts, replicas: isNear(ratio) ? current : Math.ceil(ratio * groups.counted.size) };
  const atTarget = (name: string): number =>
    target.requests
      ? ((target.requests.get(name) ?? 0) * Math.max(100, target.value)) / 100
      : Math.max(target.value, 0);
  if (ratio < 1) for (const name of groups.missing) values.set(name, atTarget(name));
  else if (ratio > 1) for (const name of groups.missing) values.set(name, 0);
  if (growsWithUnready) for (const name of groups.unready) values.set(name, 0);
  const damped = ratioOf(values, target).ratio;
  if (isNear(damped) || (ratio < 1 && damped > 1) || (ratio > 1 && damped < 1))
    return { ...facts, replicas: current };
  const replicas = Math.ceil(damped * values.size);
  const reversed = (damped < 1 && replicas > current) || (damped > 1 && replicas < current);
  return { ...facts, replicas: reversed ? current : replicas };
}

interface SharedTarget {
  /** Wanted value of the whole, thousandths. */
  readonly value?: number;
  /** Wanted value for each pod, thousandths. */
  readonly averageValue?: number;
}

/** How many pods a metric that belongs to none of them asks for. `ready`: pods that can take a share of it now. */
export function sharedReplicaCount(
  current: number,
  ready: number,
  milli: number,
  target: SharedTarget,
): number {
  if (target.averageValue !== undefined) {
    const near = current > 0 && isNear(milli / (target.averageValue * current));
    return near ? current : Math.ceil(milli / target.averageValue);
  }
  const ratio = milli / (target.value ?? 0);
  if (current === 0) return Math.ceil(ratio);
  return isNear(ratio) ? current : Math.ceil(ratio * ready);
}
