import type { KubeObject } from '@pilothouse/apimachinery';

interface Condition {
  type: string;
  status: string;
  lastTransitionTime?: string;
}

export function podPhase(pod: KubeObject): string {
  return (pod['status'] as { phase?: string } | undefined)?.phase ?? 'Pending';
}

/** Neither finished nor being deleted. */
export function isPodActive(pod: KubeObject): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function isPodTerminal(pod: KubeObject): boolean {
  const phase = podPhase(pod);
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Being deleted and not finished yet. */
export function isPodTerminating(pod: KubeObject): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp !== undefined;
}

export function podCondition(pod: KubeObject, type: string): Condition | undefined {
  return ((pod['status'] as { conditions?: Condition[] } | undefined)?.conditions ?? []).find(
    (each) => each.type === type,
  );
}

export function isPodReady(pod: KubeObject): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

/** Ready for at least `minReadySeconds`. */
export function isPodAvailable(pod: KubeObject, minReadySeconds: number, nowMs: number): boolean {
  const ready = podCondition(pod, 'Ready');
  if (ready?.status !== 'True') return false;
  return (
    minReadySeconds === 0 ||
    (ready.lastTransitionTime !== undefined &&
      Date.parse(ready.lastTransitionTime) + minReadySeconds * 1000 <= nowMs)
  );
}

/** Milliseconds until a ready pod becomes available; undefined when time alone will not do it. */
export function untilAvailableMs(
  pod: KubeObject,
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  const ready = podCondition(pod, 'Ready');
  if (ready?.status !== 'True' || ready.lastTransitionTime === undefined || minReadySeconds === 0)
    return undefined;
  const left = Date.parse(ready.lastTransitionTime) + minReadySeconds * 1000 - nowMs;
  return left > 0 ? left : undefined;
}

export function podRestarts(pod: KubeObject): number {
  const status = pod['status'] as { containerStatuses?: { restartCount?: number }[] } | undefined;
  return Math.max(0, ...(status?.containerStatuses ?? []).map((each) => each.restartCount ?? 0));
}

const timeOf = (text: string | null | undefined): number =>
  text === null || text === undefined ? 0 : Date.parse(text);

/**
 * Orders pods so that those better to delete come first (upstream's ActivePodsWithRanks): unassigned, Pending < Unknown < Running,
 * not ready, lower deletion cost, more pods of the owner on the same node, ready for less time, more restarts, younger.
 * Times are compared on a logarithmic scale so that near-equal ages count as equal.
 */
export function compareForDeletion(
  nowMs: number,
  rank: (pod: KubeObject) => number,
): (a: KubeObject, b: KubeObject) => number {
  const phaseRank: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };
  const nodeOf = (pod: KubeObject): string =>
    (pod['spec'] as { nodeName?: string } | undefined)?.nodeName ?? '';
  const cost = (pod: KubeObject): number =>
    Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0) || 0;
  const logAge = (ms: number): number =>
    ms === 0 ? -1 : Math.floor(Math.log2(Math.max(1, nowMs - ms) / 1000 + 1));
  return (a, b) => {
    const unassigned = Number(nodeOf(a) !== '') - Number(nodeOf(b) !== '');
    if (unassigned !== 0) return unassigned;
    const phase = (phaseRank[podPhase(a)] ?? 2) - (phaseRank[podPhase(b)] ?? 2);
    if (phase !== 0) return phase;
    const ready = Number(isPodReady(a)) - Number(isPodReady(b));
    if (ready !== 0) return ready;
    const costs = cost(a) - cost(b);
    if (costs !== 0) return costs;
    const ranks = rank(b) - rank(a);
    if (ranks !== 0) return ranks;
    if (isPodReady(a) && isPodReady(b)) {
      const readyAge =
        logAge(timeOf(podCondition(a, 'Ready')?.lastTransitionTime)) -
        logAge(timeOf(podCondition(b, 'Ready')?.lastTransitionTime));
      if (readyAge !== 0) return readyAge;
    }
    const restarts = podRestarts(b) - podRestarts(a);
    if (restarts !== 0) return restarts;
    const age = logAge(timeOf(a.metadata.creationTimestamp)) - logAge(timeOf(b.metadata.creationTimestamp));
    return age !== 0 ? age : (a.metadata.uid ?? '') < (b.metadata.uid ?? '') ? -1 : 1;
  };
}
