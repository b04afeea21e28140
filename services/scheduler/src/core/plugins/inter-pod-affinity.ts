import { nodeMoved, podItselfChanged, podSetChanged } from '../event-hints.ts';
import type { Cycle, Plugin } from '../framework.ts';
import { refuse } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { AffinityTerm, PodInfo } from '../pod-info.ts';
import { termMatches } from '../pod-info.ts';

const name = 'InterPodAffinity';
/** InterPodAffinityArgs. */
export interface InterPodAffinityOptions {
  /** What the required affinity of a pod that runs counts for a new one. */
  readonly hardPodAffinityWeight: number;
  readonly ignorePreferredTermsOfExistingPods: boolean;
}

export const defaultInterPodAffinity: InterPodAffinityOptions = {
  hardPodAffinityWeight: 1,
  ignorePreferredTermsOfExistingPods: false,
};

/** Counts per topology key and domain. */
type PairCounts = Map<string, Map<string, number>>;

interface FilterState {
  readonly existingAntiAffinity: PairCounts;
  readonly affinity: PairCounts;
  readonly antiAffinity: PairCounts;
}

function bump(counts: PairCounts, key: string, domain: string, by: number): void {
  let domains = counts.get(key);
  if (domains === undefined) counts.set(key, (domains = new Map()));
  const count = (domains.get(domain) ?? 0) + by;
  if (count !== 0) domains.set(domain, count);
  else {
    domains.delete(domain);
    if (domains.size === 0) counts.delete(key);
  }
}

function countOf(counts: PairCounts, key: string, domain: string): number {
  return counts.get(key)?.get(domain) ?? 0;
}

function copyCounts(counts: PairCounts): PairCounts {
  return new Map([...counts].map(([key, domains]) => [key, new Map(domains)]));
}

function countExistingAnti(
  cycle: Cycle,
  state: FilterState,
  existing: PodInfo,
  node: NodeInfo,
  sign: number,
): void {
  for (const term of existing.requiredAntiAffinity) {
    const value = node.labels[term.topologyKey];
    if (value !== undefined && termMatches(term, cycle.pod, cycle.cluster.namespaceLabels))
      bump(state.existingAntiAffinity, term.topologyKey, value, sign);
  }
}

function matchesAll(cycle: Cycle, terms: readonly AffinityTerm[], pod: PodInfo): boolean {
  return terms.length > 0 && terms.every((term) => termMatches(term, pod, cycle.cluster.namespaceLabels));
}

function countIncoming(
  cycle: Cycle,
  state: FilterState,
  existing: PodInfo,
  node: NodeInfo,
  sign: number,
): void {
  const { requiredAffinity, requiredAntiAffinity } = cycle.pod;
  // A pod counts for affinity only when it satisfies all terms at once.
  if (matchesAll(cycle, requiredAffinity, existing)) {
    for (const term of requiredAffinity) {
      const value = node.labels[term.topologyKey];
      if (value !== undefined) bump(state.affinity, term.topologyKey, value, sign);
    }
  }
  for (const term of requiredAntiAffinity) {
    const value = node.labels[term.topologyKey];
    if (value !== undefined && termMatches(term, existing, cycle.cluster.namespaceLabels))
      bump(state.antiAffinity, term.topologyKey, value, sign);
  }
}

/** Pods that want to be, or not to be, where others are. */
export function interPodAffinity(options: InterPodAffinityOptions = defaultInterPodAffinity): Plugin {
  const { hardPodAffinityWeight, ignorePreferredTermsOfExistingPods } = options;
  return {
    name,
    preFilter: (cycle) => {
      const { pod } = cycle;
      const state: FilterState = {
        existingAntiAffinity: new Map(),
        affinity: new Map(),
        antiAffinity: new Map(),
      };
      const own = pod.requiredAffinity.length + pod.requiredAntiAffinity.length > 0;
      for (const node of cycle.nodes) {
        if (node.withRequiredAntiAffinity > 0)
          for (const existing of node.pods.values()) countExistingAnti(cycle, state, existing, node, 1);
        if (own) for (const existing of node.pods.values()) countIncoming(cycle, state, existing, node, 1);
      }
      if (state.existingAntiAffinity.size === 0 && !own) return { skip: true };
      cycle.state.set(name, state);
      return undefined;
    },
    cloneState: (state) => {
      const { existingAntiAffinity, affinity, antiAffinity } = state as FilterState;
      return {
        existingAntiAffinity: copyCounts(existingAntiAffinity),
        affinity: copyCounts(affinity),
        antiAffinity: copyCounts(antiAffinity),
      };
    },
    adjust: (cycle, pod, node, sign) => {
      const state = cycle.state.get(name) as FilterState | undefined;
      if (state === undefined) return;
      countExistingAnti(cycle, state, pod, node, sign);
      countIncoming(cycle, state, pod, node, sign);
    },
    filter: (cycle, node) => {
      const { pod } = cycle;
      const state = cycle.state.get(name) as FilterState;
      let satisfied = true;
      let found = true;
      for (const term of pod.requiredAffinity) {
        const value = node.labels[term.topologyKey];
        if (value === undefined) {
          satisfied = false;
          found = true;
          break;
        }
        if (countOf(state.affinity, term.topologyKey, value) <= 0) found = false;
      }
      // The first pod of a group that wants to be with itself may go anywhere.
      if (satisfied && !found)
        satisfied = state.affinity.size === 0 && matchesAll(cycle, pod.requiredAffinity, pod);
      if (!satisfied)
        return refuse(name, 'unschedulableAndUnresolvable', "node(s) didn't match pod affinity rules");
      for (const term of pod.requiredAntiAffinity) {
        const value = node.labels[term.topologyKey];
        if (value !== undefined && countOf(state.antiAffinity, term.topologyKey, value) > 0) {
          return refuse(name, 'unschedulable', "node(s) didn't match pod anti-affinity rules");
        }
      }
      if (state.existingAntiAffinity.size > 0) {
        for (const [key, domains] of state.existingAntiAffinity) {
          const value = node.labels[key];
          if (value !== undefined && (domains.get(value) ?? 0) > 0) {
            return refuse(name, 'unschedulable', "node(s) didn't satisfy existing pods anti-affinity rules");
          }
        }
      }
      return undefined;
    },
    preScore: (cycle) => {
      const { pod } = cycle;
      const own = pod.preferredAffinity.length + pod.preferredAntiAffinity.length > 0;
      const scores: PairCounts = new Map();
      if (!own && ignorePreferredTermsOfExistingPods) return true;
      const count = (term: AffinityTerm, matched: PodInfo, node: NodeInfo, weight: number): void => {
        const value = node.labels[term.topologyKey];
        if (weight === 0 || value === undefined) return;
        if (termMatches(term, matched, cycle.cluster.namespaceLabels))
          bump(scores, term.topologyKey, value, weight);
      };
      for (const node of cycle.nodes) {
        if (!own && node.withAffinity === 0) continue;
        for (const existing of node.pods.values()) {
          for (const term of pod.preferredAffinity) count(term, existing, node, term.weight);
          for (const term of pod.preferredAntiAffinity) count(term, existing, node, -term.weight);
          for (const term of existing.requiredAffinity) count(term, pod, node, hardPodAffinityWeight);
          for (const term of existing.preferredAffinity) count(term, pod, node, term.weight);
          for (const term of existing.preferredAntiAffinity) count(term, pod, node, -term.weight);
        }
      }
      if (scores.size === 0) return true;
      cycle.state.set(`${name}/score`, scores);
      return undefined;
    },
    score: (cycle, node) => {
      const scores = cycle.state.get(`${name}/score`) as PairCounts;
      let sum = 0;
      for (const [key, domains] of scores) {
        const value = node.labels[key];
        if (value !== undefined) sum += domains.get(value) ?? 0;
      }
      return sum;
    },
    normalize: (_cycle, scores) => {
      const min = Math.min(...scores);
      const max = Math.max(...scores);
      for (let index = 0; index < scores.length; index++) {
        scores[index] = max === min ? 0 : Math.floor((100 * ((scores[index] as number) - min)) / (max - min));
      }
    },
    mayHelp: (pod, event) =>
      podSetChanged(event) ||
      podItselfChanged(pod, event) ||
      event.resource === 'Namespace' ||
      nodeMoved(event),
  };
}
