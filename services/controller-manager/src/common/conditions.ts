/** A condition as most kinds have it. */
export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
  lastProbeTime?: string;
  observedGeneration?: number;
}

export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((each) => each.type === type);
}

/** Puts or replaces a condition; the transition time is kept while the status is the same. */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  condition: Condition,
): Condition[] {
  const list = conditions ?? [];
  const old = findCondition(list, condition.type);
  const made =
    old?.status === condition.status && old.lastTransitionTime !== undefined
      ? { ...condition, lastTransitionTime: old.lastTransitionTime }
      : condition;
  return old ? list.map((each) => (each === old ? made : each)) : [...list, made];
}
