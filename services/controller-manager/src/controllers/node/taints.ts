export interface Taint {
  key: string;
  value?: string;
  effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  timeAdded?: string;
}

export interface Toleration {
  key?: string;
  operator?: 'Exists' | 'Equal' | 'Lt' | 'Gt';
  value?: string;
  effect?: string;
  tolerationSeconds?: number;
}

interface NodeCondition {
  type: string;
  status: string;
}

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';

const conditionTaints: readonly (readonly [condition: string, status: string, taint: string])[] = [
  ['Ready', 'False', notReadyTaint],
  ['Ready', 'Unknown', unreachableTaint],
  ['MemoryPressure', 'True', 'node.kubernetes.io/memory-pressure'],
  ['DiskPressure', 'True', 'node.kubernetes.io/disk-pressure'],
  ['NetworkUnavailable', 'True', 'node.kubernetes.io/network-unavailable'],
  ['PIDPressure', 'True', 'node.kubernetes.io/pid-pressure'],
];

const unschedulableTaint = 'node.kubernetes.io/unschedulable';
const managed = new Set([...conditionTaints.map(([, , taint]) => taint), unschedulableTaint]);

/** The NoSchedule taints that conditions and spec.unschedulable call for, beside those of others; undefined when nothing changes. */
export function noScheduleTaints(
  current: readonly Taint[],
  conditions: readonly NodeCondition[],
  unschedulable: boolean,
): Taint[] | undefined {
  const wanted = new Set<string>();
  for (const [type, status, taint] of conditionTaints)
    if (conditions.some((each) => each.type === type && each.status === status)) wanted.add(taint);
  if (unschedulable) wanted.add(unschedulableTaint);
  const isManaged = (taint: Taint): boolean => taint.effect === 'NoSchedule' && managed.has(taint.key);
  const kept = current.filter((taint) => !isManaged(taint) || wanted.has(taint.key));
  const missing = [...wanted].filter(
    (key) => !current.some((taint) => isManaged(taint) && taint.key === key),
  );
  if (missing.length === 0 && kept.length === current.length) return undefined;
  return [...kept, ...missing.map((key): Taint => ({ key, effect: 'NoSchedule' }))];
}

/** The NoExecute taint of an unhealthy node, so that its pods move after their toleration; undefined when nothing changes. */
export function noExecuteTaints(current: readonly Taint[], ready: string, now: string): Taint[] | undefined {
  const wanted = ready === 'False' ? notReadyTaint : ready === 'Unknown' ? unreachableTaint : undefined;
  const isManaged = (taint: Taint): boolean =>
    taint.effect === 'NoExecute' && (taint.key === notReadyTaint || taint.key === unreachableTaint);
  const kept = current.filter((taint) => !isManaged(taint) || taint.key === wanted);
  const present = kept.some((taint) => isManaged(taint));
  if ((wanted === undefined || present) && kept.length === current.length) return undefined;
  return wanted === undefined || present
    ? kept
    : [...kept, { key: wanted, effect: 'NoExecute', timeAdded: now }];
}

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect !== undefined && toleration.effect !== '' && toleration.effect !== taint.effect)
    return false;
  if (toleration.key !== undefined && toleration.key !== '' && toleration.key !== taint.key) return false;
  if ((toleration.key === undefined || toleration.key === '') && toleration.operator !== 'Exists')
    return false;
  return toleration.operator === 'Exists' || (toleration.value ?? '') === (taint.value ?? '');
}

/**
 * How long a pod may stay on a node with these NoExecute taints: undefined: for ever; 0: it must go now; else milliseconds from
 * when it was first seen to be affected.
 */
export function allowedStayMs(
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
): number | undefined {
  const noExecute = taints.filter((taint) => taint.effect === 'NoExecute');
  if (noExecute.length === 0) return undefined;
  let stay: number | undefined;
  for (const taint of noExecute) {
    const matching = tolerations.filter((each) => tolerates(each, taint));
    if (matching.length === 0) return 0;
    for (const { tolerationSeconds } of matching) {
      if (tolerationSeconds === undefined) continue;
      stay = Math.min(stay ?? Infinity, Math.max(0, tolerationSeconds * 1000));
    }
  }
  return stay;
}
