import type { Probe } from '../pod-shape.ts';

export type ProbeKind = 'liveness' | 'readiness' | 'startup';

/** What a probe says once its thresholds are counted: undefined until they have been reached for the first time. */
export class ProbeState {
  readonly kind: ProbeKind;
  readonly #probe: Probe;
  #result: boolean | undefined;
  #streak = 0;
  #lastOutcome: boolean | undefined;

  constructor(kind: ProbeKind, probe: Probe) {
    this.kind = kind;
    this.#probe = probe;
  }

  get result(): boolean | undefined {
    return this.#result;
  }

  /** Counts one outcome. True when the result changed, or stays failed and its consequence is due again. */
  record(success: boolean): boolean {
    if (this.#lastOutcome === success) this.#streak++;
    else this.#streak = 1;
    this.#lastOutcome = success;
    const needed = success ? (this.#probe.successThreshold ?? 1) : (this.#probe.failureThreshold ?? 3);
    if (this.#streak < needed || this.#result === success) return false;
    this.#result = success;
    return true;
  }
}

/** Wall milliseconds of a probe's schedule. */
export const probePeriodMs = (probe: Probe): number => (probe.periodSeconds ?? 10) * 1000;
export const probeDelayMs = (probe: Probe): number => (probe.initialDelaySeconds ?? 0) * 1000;
export const probeTimeoutMs = (probe: Probe): number => (probe.timeoutSeconds ?? 1) * 1000;
