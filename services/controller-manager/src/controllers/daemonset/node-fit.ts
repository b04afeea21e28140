import type { KubeObject, NodeSelectorTerm } from '@pilothouse/apimachinery';
import { nodeTermMatches } from '@pilothouse/apimachinery';
import type { Taint, Toleration } from '../node/taints.ts';
import { tolerates } from '../node/taints.ts';

/** nodeSelector and required node affinity of a pod spec against a node. */
export function matchesNodeAffinity(spec: Record<string, unknown>, node: KubeObject): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [name, value] of Object.entries((spec['nodeSelector'] ?? {}) as Record<string, string>))
    if (labels[name] !== value) return false;
  const affinity = spec['affinity'] as
    | {
        nodeAffinity?: {
          requiredDuringSchedulingIgnoredDuringExecution?: {
            nodeSelectorTerms?: NodeSelectorTerm[];
          };
        };
      }
    | undefined;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (terms === undefined) return true;
  return terms.some((term) => nodeTermMatches(term, labels, node.metadata.name ?? ''));
}

/** Tolerations that every daemon pod has, so that node trouble does not take it away. */
export function daemonTolerations(hostNetwork: boolean): Toleration[] {
  const tolerate = (key: string, effect: string): Toleration => ({ key, operator: 'Exists', effect });
  return [
    tolerate('node.kubernetes.io/not-ready', 'NoExecute'),
    tolerate('node.kubernetes.io/unreachable', 'NoExecute'),
    tolerate('node.kubernetes.io/disk-pressure', 'NoSchedule'),
    tolerate('node.kubernetes.io/memory-pressure', 'NoSchedule'),
    tolerate('node.kubernetes.io/pid-pressure', 'NoSchedule'),
    tolerate('node.kubernetes.io/unschedulable', 'NoSchedule'),
    ...(hostNetwork ? [tolerate('node.kubernetes.io/network-unavailable', 'NoSchedule')] : []),
  ];
}

/** Adds those tolerations that are not there. */
export function withDaemonTolerations(spec: Record<string, unknown>): Toleration[] {
  const own = [...((spec['tolerations'] ?? []) as Toleration[])];
  for (const wanted of daemonTolerations(spec['hostNetwork'] === true)) {
    const same = own.some(
      (each) =>
        each.key === wanted.key &&
        each.effect === wanted.effect &&
        each.operator === wanted.operator &&
        (each.value ?? '') === '',
    );
    if (!same) own.push(wanted);
  }
  return own;
}

export interface NodeFit {
  readonly shouldRun: boolean;
  /** A pod that is there may stay. */
  readonly shouldContinue: boolean;
}

/** Whether a daemon belongs on a node: affinity decides for both, NoSchedule taints keep new pods away, NoExecute ones also old. */
export function nodeFit(template: KubeObject, node: KubeObject): NodeFit {
  const spec = template['spec'] as Record<string, unknown>;
  if (spec['nodeName'] !== undefined && spec['nodeName'] !== '' && spec['nodeName'] !== node.metadata.name)
    return { shouldRun: false, shouldContinue: false };
  if (!matchesNodeAffinity(spec, node)) return { shouldRun: false, shouldContinue: false };
  const tolerations = withDaemonTolerations(spec);
  const untolerated = ((node['spec']?.taints ?? []) as Taint[]).filter(
    (taint) => taint.effect !== 'PreferNoSchedule' && !tolerations.some((each) => tolerates(each, taint)),
  );
  if (untolerated.length === 0) return { shouldRun: true, shouldContinue: true };
  return { shouldRun: false, shouldContinue: !untolerated.some((taint) => taint.effect === 'NoExecute') };
}
