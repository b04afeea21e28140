/** The fields that every condition has; kinds add their own. */
export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastTransitionTime?: string | null;
  observedGeneration?: number;
}

export function findCondition<C extends { type?: string }>(
  conditions: readonly C[] | undefined,
  type: string,
): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isConditionTrue(
  conditions: readonly { type?: string; status?: string }[] | undefined,
  type: string,
): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

/**
 * The conditions with `condition` in place of the one of its type; lastTransitionTime moves to `now` only when the status changes.
 * The input is not touched; the same array comes back when nothing differs.
 */
export function withCondition<C extends Condition>(
  conditions: readonly C[] | undefined,
  condition: C,
  now: string,
): readonly C[] {
  const list = conditions ?? [];
  const index = list.findIndex((each) => each.type === condition.type);
  const old = list[index];
  if (old === undefined)
    return [...list, { ...condition, lastTransitionTime: condition.lastTransitionTime ?? now }];
  const transition =
    old.status === condition.status ? old.lastTransitionTime : (condition.lastTransitionTime ?? now);
  const next = { ...old, ...condition, lastTransitionTime: transition ?? null };
  const keys = new Set([...Object.keys(old), ...Object.keys(next)]) as Set<keyof C>;
  if ([...keys].every((key) => old[key] === next[key])) return list;
  return [...list.slice(0, index), next, ...list.slice(index + 1)];
}
