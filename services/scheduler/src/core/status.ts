/** Verdicts of plugins. `unresolvable`: removing pods from the node would not help. */
export type StatusCode = 'unschedulable' | 'unschedulableAndUnresolvable' | 'pending' | 'error';

export interface PluginStatus {
  readonly code: StatusCode;
  readonly reasons: readonly string[];
  readonly plugin: string;
}

/** Why no node was found: the material of the FailedScheduling event. */
export interface Diagnosis {
  readonly nodeCount: number;
  /** Nodes that were looked at and refused. */
  readonly nodeStatuses: ReadonlyMap<string, PluginStatus>;
  /** Said of nodes that were not looked at. */
  readonly absent: PluginStatus | undefined;
  readonly preFilterMessage: string;
  readonly postFilterMessage: string;
  readonly unschedulablePlugins: ReadonlySet<string>;
}

/** `0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu. preemption: …`, as upstream words it. */
export function fitErrorMessage(diagnosis: Diagnosis): string {
  if (diagnosis.nodeCount === 0) return 'no nodes available to schedule pods';
  let text = `0/${diagnosis.nodeCount} nodes are available:`;
  if (diagnosis.preFilterMessage !== '') text += ` ${diagnosis.preFilterMessage}.`;
  else {
    const counts = new Map<string, number>();
    for (const status of diagnosis.nodeStatuses.values()) {
      for (const reason of status.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    const absentCount = diagnosis.nodeCount - diagnosis.nodeStatuses.size;
    if (absentCount > 0) {
      for (const reason of diagnosis.absent?.reasons ?? [])
        counts.set(reason, (counts.get(reason) ?? 0) + absentCount);
    }
    const lines = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
    if (lines.length > 0) text += ` ${lines.join(', ')}.`;
  }
  if (diagnosis.postFilterMessage !== '') text += ` ${diagnosis.postFilterMessage}`;
  return text;
}
