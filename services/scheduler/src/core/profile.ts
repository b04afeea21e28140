import type { Plugin } from './framework.ts';
import type { PreemptionLimits } from './preemption.ts';

/** What places the pods of one `spec.schedulerName`. */
export interface Profile {
  readonly schedulerName: string;
  /** Each plugin once. */
  readonly plugins: readonly Plugin[];
  /** Those of {@link plugins} that run at each extension point, in order. */
  readonly preEnqueue: readonly Plugin[];
  readonly preFilter: readonly Plugin[];
  readonly filter: readonly Plugin[];
  readonly score: readonly Weighted[];
  /** Undefined: pods are not evicted to make room. */
  readonly preemption: PreemptionLimits | undefined;
  /** Whether failures are worded as with the postFilter of DynamicResources. */
  readonly mindsClaims: boolean;
  /** Percent; 0: adapts to the size of the cluster. */
  readonly percentageOfNodesToScore: number;
  readonly volumeBindTimeoutMs: number;
}

export interface Weighted {
  readonly plugin: Plugin;
  readonly weight: number;
}
