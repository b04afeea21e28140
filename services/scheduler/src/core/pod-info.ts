import type {
  KubeObject,
  LabelSelector,
  LabelSelectorObject,
  NodeSelectorTerm,
} from '@pilothouse/apimachinery';
import { labelSelectorOf, nothing } from '@pilothouse/apimachinery';
import type { Resources } from './resources.ts';
import { podRequests } from './resources.ts';
import type { Toleration } from './tolerations.ts';

export type Pod = KubeObject;

/** One term of pod affinity or anti-affinity, ready to match. */
export interface AffinityTerm {
  readonly selector: LabelSelector;
  readonly namespaces: ReadonlySet<string>;
  /** Selects namespaces by label in addition; undefined when not given. */
  readonly namespaceSelector: LabelSelector | undefined;
  readonly topologyKey: string;
  readonly weight: number;
}

export interface HostPort {
  readonly protocol: string;
  readonly ip: string;
  readonly port: number;
}

/** What scheduling needs of a pod, worked out once per object. */
export interface PodInfo {
  readonly pod: Pod;
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly requests: Resources;
  /** Requests with defaults for containers that state none. */
  readonly scoreRequests: Resources;
  readonly hostPorts: readonly HostPort[];
  readonly tolerations: readonly Toleration[];
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly requiredNodeTerms: readonly NodeSelectorTerm[] | undefined;
  readonly preferredNodeTerms: readonly { readonly weight: number; readonly preference: NodeSelectorTerm }[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly AffinityTerm[];
  readonly preferredAntiAffinity: readonly AffinityTerm[];
  readonly images: readonly string[];
  readonly terminating: boolean;
}

const cache = new WeakMap<Pod, PodInfo>();

export function podKey(pod: Pod): string {
  return `${pod.metadata.namespace ?? ''}/${pod.metadata.name ?? ''}`;
}

export function podInfoOf(pod: Pod): PodInfo {
  let info = cache.get(pod);
  if (info === undefined) cache.set(pod, (info = makePodInfo(pod)));
  return info;
}

function selectorOrNothing(selector: LabelSelectorObject | undefined): LabelSelector {
  try {
    return labelSelectorOf(selector);
  } catch {
    return nothing;
  }
}

interface RawTerm {
  readonly labelSelector?: LabelSelectorObject;
  readonly namespaces?: readonly string[];
  readonly namespaceSelector?: LabelSelectorObject;
  readonly topologyKey?: string;
}

function affinityTerm(term: RawTerm, namespace: string, weight = 0): AffinityTerm {
  const named = term.namespaces ?? [];
  const own = named.length === 0 && term.namespaceSelector === undefined;
  return {
    selector: selectorOrNothing(term.labelSelector),
    namespaces: new Set(own ? [namespace] : named),
    namespaceSelector:
      term.namespaceSelector === undefined ? undefined : selectorOrNothing(term.namespaceSelector),
    topologyKey: term.topologyKey ?? '',
    weight,
  };
}

function makePodInfo(pod: Pod): PodInfo {
  const spec = pod['spec'] ?? {};
  const namespace = pod.metadata.namespace ?? '';
  const affinity = spec.affinity ?? {};
  const required = (kind: string): AffinityTerm[] =>
    (affinity[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term: RawTerm) =>
      affinityTerm(term, namespace),
    );
  const preferred = (kind: string): AffinityTerm[] =>
    (affinity[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      (each: { weight?: number; podAffinityTerm?: RawTerm }) =>
        affinityTerm(each.podAffinityTerm ?? {}, namespace, each.weight ?? 0),
    );
  const hostPorts: HostPort[] = [];
  const portOwners = [...(spec.containers ?? [])];
  for (const container of spec.initContainers ?? [])
    if (container.restartPolicy === 'Always') portOwners.push(container);
  for (const container of portOwners) {
    for (const port of container.ports ?? []) {
      if ((port.hostPort ?? 0) > 0)
        hostPorts.push({
          protocol: port.protocol ?? 'TCP',
          ip: port.hostIP || '0.0.0.0',
          port: port.hostPort,
        });
    }
  }
  return {
    pod,
    key: podKey(pod),
    uid: pod.metadata.uid ?? '',
    namespace,
    name: pod.metadata.name ?? '',
    labels: pod.metadata.labels ?? {},
    priority: spec.priority ?? 0,
    requests: podRequests(pod),
    scoreRequests: podRequests(pod, true),
    hostPorts,
    tolerations: spec.tolerations ?? [],
    nodeSelector: spec.nodeSelector ?? {},
    requiredNodeTerms:
      affinity.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms,
    preferredNodeTerms: affinity.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [],
    requiredAffinity: required('podAffinity'),
    requiredAntiAffinity: required('podAntiAffinity'),
    preferredAffinity: preferred('podAffinity'),
    preferredAntiAffinity: preferred('podAntiAffinity'),
    images: [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map(
      (container: { image?: string }) => container.image ?? '',
    ),
    terminating: pod.metadata.deletionTimestamp !== undefined && pod.metadata.deletionTimestamp !== null,
  };
}

/** `namespaceLabels` gives the labels of a namespace, for terms that select namespaces. */
export type NamespaceLabels = (namespace: string) => Readonly<Record<string, string>> | undefined;

export function termMatches(term: AffinityTerm, pod: PodInfo, namespaceLabels: NamespaceLabels): boolean {
  if (!term.namespaces.has(pod.namespace)) {
    if (term.namespaceSelector === undefined) return false;
    if (!term.namespaceSelector.matches(namespaceLabels(pod.namespace))) return false;
  }
  return term.selector.matches(pod.labels);
}
