/** One request of the load. Times are milliseconds of the drill's clock, which starts with the load. */
export interface Operation {
  readonly kind: 'write' | 'read';
  readonly startMs: number;
  readonly endMs: number;
  /** Answered as it should; after one retry where the request may be repeated. */
  readonly ok: boolean;
  /** The first try failed. */
  readonly retried: boolean;
  /** What went wrong, of the last try that failed. */
  readonly error?: string;
}

/** A write that was acknowledged. Values of one object only ever rise. */
export interface Acknowledged {
  readonly name: string;
  readonly value: number;
  readonly revision: bigint;
}

/** What one watcher was told, in order; a relist stands for everything up to its revision. */
export type Seen =
  | {
      readonly kind: 'event';
      readonly type: string;
      readonly name: string;
      readonly value: number;
      readonly revision: bigint;
    }
  | { readonly kind: 'relist'; readonly revision: bigint; readonly items: ReadonlyMap<string, number> };

/** A pod as watchers saw it. */
export interface SeenPod {
  readonly uid: string;
  readonly name: string;
  readonly node: string;
}

/** What the load did and saw. */
export interface History {
  readonly operations: readonly Operation[];
  readonly acknowledged: readonly Acknowledged[];
  readonly staleReads: readonly string[];
  readonly watchers: readonly (readonly Seen[])[];
  readonly pods: readonly SeenPod[];
  /** Objects of the load at the end, as a quorum read gave them. */
  readonly final: ReadonlyMap<string, { readonly value: number; readonly revision: bigint }>;
  /** Pods that were not running although everything had been well again for a while. */
  readonly pendingPods: readonly string[];
}

export interface Verdict {
  readonly lost: readonly string[];
  readonly staleReads: readonly string[];
  readonly watchViolations: readonly string[];
  readonly doubleBinds: readonly string[];
  readonly pendingPods: readonly string[];
}

/** A moment worth a mark on the time line. */
export interface Mark {
  readonly atMs: number;
  readonly text: string;
  /** Set for a fault that lasts. */
  readonly untilMs?: number;
}

/** One drill as reports show it. */
export interface DrillResult {
  readonly name: string;
  readonly title: string;
  readonly verdict: 'pass' | 'fail' | 'skip';
  /** Why it was skipped, or what was wrong. */
  readonly problems: readonly string[];
  readonly lostAcknowledgedWrites: number;
  readonly staleReads: number;
  readonly watchViolations: number;
  readonly doubleBinds: number;
  /** Longest time without an acknowledged write (an answered read) from the fault on. */
  readonly writeGapMs: number;
  readonly readGapMs: number;
  readonly failedWrites: number;
  readonly failedReads: number;
  /** Reads that failed again when they were repeated once. */
  readonly failedAfterRetry: number;
  readonly writes: number;
  readonly reads: number;
  readonly seed: number;
  readonly command: string;
  /** The slowest answer before the fault: how busy the machine was anyway. */
  readonly calmSlowestMs: number;
  readonly marks: readonly Mark[];
  readonly operations: readonly Operation[];
  readonly durationMs: number;
}
