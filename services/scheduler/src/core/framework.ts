import type { KubeObject } from '@pilothouse/apimachinery';
import type { NodeInfo } from './node-info.ts';
import type { NamespaceLabels, PodInfo } from './pod-info.ts';
import type { PluginStatus, StatusCode } from './status.ts';

export const maxNodeScore = 100;

/** Other objects plugins look at: local caches of the API. */
export interface ClusterView {
  namespaceLabels: NamespaceLabels;
  /** Labels that the workloads and services behind a pod select on; undefined when there are none. */
  defaultSelector(pod: PodInfo): ReadonlyMap<string, string> | undefined;
  claim(namespace: string, name: string): KubeObject | undefined;
  volume(name: string): KubeObject | undefined;
  volumes(): readonly KubeObject[];
  storageClass(name: string): KubeObject | undefined;
  disruptionBudgets(namespace: string): readonly KubeObject[];
  /** Pods that use a claim, by `namespace/name` of the claim. */
  claimUsers(namespace: string, name: string): readonly PodInfo[];
}

/** What plugins keep between their extension points in one cycle. */
export type CycleState = Map<string, unknown>;

/** One attempt to place one pod. */
export interface Cycle {
  readonly pod: PodInfo;
  readonly nodes: readonly NodeInfo[];
  readonly state: CycleState;
  readonly cluster: ClusterView;
  /** Filter plugins that have nothing to say about this pod. */
  readonly skipFilter: Set<string>;
  readonly skipScore: Set<string>;
}

/** A fact that may make waiting pods schedulable. */
export interface ClusterEvent {
  readonly resource:
    | 'Node'
    | 'AssignedPod'
    | 'UnscheduledPod'
    | 'PersistentVolume'
    | 'PersistentVolumeClaim'
    | 'StorageClass'
    | 'Namespace'
    | 'Service';
  readonly action: 'add' | 'update' | 'delete';
  readonly object: KubeObject | undefined;
  readonly old: KubeObject | undefined;
}

export interface PreFilterResult {
  /** Only these nodes can fit. */
  readonly nodeNames?: ReadonlySet<string>;
  /** The plugin has nothing to filter for this pod. */
  readonly skip?: boolean;
  readonly status?: PluginStatus;
}

/** A unit of scheduling policy. All extension points are optional and synchronous, but for those of the binding cycle, which run in the shell. */
export interface Plugin {
  readonly name: string;
  /** May hold a pod back from the queue. */
  preEnqueue?(pod: PodInfo): PluginStatus | undefined;
  preFilter?(cycle: Cycle): PreFilterResult | undefined;
  filter?(cycle: Cycle, node: NodeInfo): PluginStatus | undefined;
  /** Keeps the state of preFilter right when `pod` is put on (+1) or taken off (−1) `node` on trial. */
  adjust?(cycle: Cycle, pod: PodInfo, node: NodeInfo, sign: 1 | -1): void;
  /** A copy of what preFilter left, for trials. */
  cloneState?(state: unknown): unknown;
  /** Returns true when the plugin does not want to score. */
  preScore?(cycle: Cycle, nodes: readonly NodeInfo[]): boolean | undefined;
  score?(cycle: Cycle, node: NodeInfo): number;
  /** In place; to 0…100. */
  normalize?(cycle: Cycle, scores: number[], nodes: readonly NodeInfo[]): void;
  /** Could this event let a pod through that this plugin refused? Default: yes. */
  mayHelp?(pod: PodInfo, event: ClusterEvent): boolean;
}

export function refuse(plugin: string, code: StatusCode, ...reasons: string[]): PluginStatus {
  return { code, reasons, plugin };
}

/** Scales to 0…100 by the highest; `reverse` turns high into low. */
export function defaultNormalize(scores: number[], reverse: boolean): void {
  let highest = 0;
  for (const score of scores) highest = Math.max(highest, score);
  for (let index = 0; index < scores.length; index++) {
    if (highest === 0) {
      if (reverse) scores[index] = maxNodeScore;
      continue;
    }
    const scaled = Math.floor((maxNodeScore * (scores[index] as number)) / highest);
    scores[index] = reverse ? maxNodeScore - scaled : scaled;
  }
}
