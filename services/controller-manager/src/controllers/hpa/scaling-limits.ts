/** One change of size in the past. */
export interface ScaleEvent {
  readonly change: number;
  readonly atMs: number;
}

interface Policy {
  readonly type: string;
  readonly value: number;
  readonly periodSeconds: number;
}

interface Rules {
  readonly stabilizationWindowSeconds?: number;
  readonly selectPolicy?: string;
  readonly policies?: readonly Policy[] | null;
}

export interface Behavior {
  readonly scaleUp?: Rules;
  readonly scaleDown?: Rules;
}

export interface Recommendation {
  readonly replicas: number;
  readonly atMs: number;
}

export interface Bounds {
  readonly current: number;
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly nowMs: number;
  readonly behavior: Behavior | undefined;
  /** `--horizontal-pod-autoscaler-downscale-stabilization`, for autoscalers without a behavior. */
  readonly downscaleWindowMs: number;
  readonly recommendations: readonly Recommendation[];
  readonly scaledUp: readonly ScaleEvent[];
  readonly scaledDown: readonly ScaleEvent[];
}

export interface ConditionFacts {
  readonly type: 'AbleToScale' | 'ScalingLimited';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export interface Limited {
  readonly replicas: number;
  readonly conditions: readonly ConditionFacts[];
}

const changeWithin = (events: readonly ScaleEvent[], seconds: number, nowMs: number): number =>
  events.filter((each) => nowMs - each.atMs < seconds * 1000).reduce((total, each) => total + each.change, 0);

function upLimit(bounds: Bounds, rules: Rules): number {
  if (rules.selectPolicy === 'Disabled') return bounds.current;
  const policies = rules.policies ?? [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ];
  const limits = policies.map((policy) => {
    const start = bounds.current - changeWithin(bounds.scaledUp, policy.periodSeconds, bounds.nowMs);
    return policy.type === 'Pods'
      ? Math.trunc(start + policy.value)
      : Math.ceil(start * (1 + policy.value / 100));
  });
  return rules.selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits);
}

function downLimit(bounds: Bounds, rules: Rules): number {
  if (rules.selectPolicy === 'Disabled') return bounds.current;
  const policies = rules.policies ?? [{ type: 'Percent', value: 100, periodSeconds: 15 }];
  const limits = policies.map((policy) => {
    const start = bounds.current + changeWithin(bounds.scaledDown, policy.periodSeconds, bounds.nowMs);
    return policy.type === 'Pods' ? start - policy.value : Math.trunc(start * (1 - policy.value / 100));
  });
  return rules.selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits);
}

function stabilized(bounds: Bounds): { replicas: number; condition: ConditionFacts } {
  const { current, desired, behavior, nowMs } = bounds;
  const upMs = (behavior?.scaleUp?.stabilizationWindowSeconds ?? 0) * 1000;
  const downSeconds = behavior?.scaleDown?.stabilizationWindowSeconds;
  const downMs = downSeconds === undefined ? bounds.downscaleWindowMs : downSeconds * 1000;
  let lowest = desired;
  let highest = desired;
  for (const { replicas, atMs } of bounds.recommendations) {
    if (nowMs - atMs < upMs) lowest = Math.min(lowest, replicas);
    if (nowMs - atMs < downMs) highest = Math.max(highest, replicas);
  }
  // Never up beyond the lowest, never down beyond the highest of what was wanted lately.
  const replicas = current < lowest ? lowest : current > highest ? highest : current;
  const ready: ConditionFacts = {
    type: 'AbleToScale',
    status: 'True',
    reason: 'ReadyForNewScale',
    message: 'recommended size matches current size',
  };
  if (replicas === desired) return { replicas, condition: ready };
  return {
    replicas,
    condition:
      desired < replicas
        ? {
            ...ready,
            reason: 'ScaleDownStabilized',
            message:
              'recent recommendations were higher than current one, applying the highest recent recommendation',
          }
        : {
            ...ready,
            reason: 'ScaleUpStabilized',
            message:
              'recent recommendations were lower than current one, applying the lowest recent recommendation',
          },
  };
}

/** What of a wanted size may be done now: stabilization first, then rates, then minimum and maximum. */
export function limitReplicas(bounds: Bounds): Limited {
  const { current, min, max, behavior } = bounds;
  const { replicas: wanted, condition } = stabilized(bounds);
  const limited = (status: 'True' | 'False', reason: string, message: string): ConditionFacts => ({
    type: 'ScalingLimited',
    status,
    reason,
    message,
  });
  const within = limited('False', 'DesiredWithinRange', 'the desired count is within the acceptable range');
  const done = (replicas: number, limit: ConditionFacts): Limited => ({
    replicas,
    conditions: [condition, limit],
  });
  if (wanted > current || (behavior === undefined && wanted > min)) {
    const rate = Math.max(
      behavior === undefined ? Math.max(2 * current, 4) : upLimit(bounds, behavior.scaleUp ?? {}),
      behavior === undefined ? 0 : current,
    );
    const most = Math.min(max, rate);
    if (wanted > most)
      return done(
        most,
        most === max
          ? limited(
              'True',
              'TooManyReplicas',
              'the desired replica count is more than the maximum replica count',
            )
          : limited(
              'True',
              'ScaleUpLimit',
              'the desired replica count is increasing faster than the maximum scale rate',
            ),
      );
    return done(wanted, within);
  }
  if (wanted < current || wanted < min) {
    const rate =
      behavior === undefined ? min : Math.min(current, downLimit(bounds, behavior.scaleDown ?? {}));
    const least = Math.max(min, rate);
    if (wanted < least)
      return done(
        least,
        least === min
          ? limited(
              'True',
              'TooFewReplicas',
              'the desired replica count is less than the minimum replica count',
            )
          : limited(
              'True',
              'ScaleDownLimit',
              'the desired replica count is decreasing faster than the maximum scale rate',
            ),
      );
  }
  return done(wanted, within);
}
