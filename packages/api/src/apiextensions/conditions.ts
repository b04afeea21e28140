/** A condition of a CustomResourceDefinition. */
export interface CrdCondition {
  type: string;
  status: string;
  lastTransitionTime?: string;
  reason?: string;
  message?: string;
}

export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** Replaces or adds a condition; its transition time stays while its status does. */
export function withCondition(
  conditions: readonly CrdCondition[] | null | undefined,
  wanted: Omit<CrdCondition, 'lastTransitionTime'>,
  now: string,
): CrdCondition[] {
  const list = [...(conditions ?? [])];
  const index = list.findIndex((each) => each.type === wanted.type);
  const before = list[index];
  const keeps = before?.status === wanted.status ? before.lastTransitionTime : undefined;
  const { type, status, reason, message } = wanted;
  const next: CrdCondition = {
    type,
    status,
    lastTransitionTime: keeps ?? now,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
  if (index < 0) list.push(next);
  else list[index] = next;
  return list;
}

export function isConditionTrue(
  conditions: readonly CrdCondition[] | null | undefined,
  type: string,
): boolean {
  return (conditions ?? []).some((each) => each.type === type && each.status === 'True');
}
