import type { LabelSelector, LabelSelectorObject } from '@pilothouse/apimachinery';
import {
  LabelSelector as Selector,
  labelSelectorFromSet,
  labelSelectorOf,
  nothing,
} from '@pilothouse/apimachinery';
import { nodeMoved, podItselfChanged, podSetChanged } from '../event-hints.ts';
import type { Cycle, Plugin } from '../framework.ts';
import { refuse } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import { tolerates } from '../tolerations.ts';
import { nodeAffinityMatches } from './node-plugins.ts';

const name = 'PodTopologySpread';
const hostnameKey = 'kubernetes.io/hostname';
const zoneKey = 'topology.kubernetes.io/zone';

interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly hard: boolean;
  readonly selector: LabelSelector;
  readonly honorAffinity: boolean;
  readonly honorTaints: boolean;
}

interface RawConstraint {
  readonly topologyKey?: string;
  readonly maxSkew?: number;
  readonly minDomains?: number;
  readonly whenUnsatisfiable?: string;
  readonly labelSelector?: LabelSelectorObject;
  readonly matchLabelKeys?: readonly string[];
  readonly nodeAffinityPolicy?: string;
  readonly nodeTaintsPolicy?: string;
}

const parsed = new WeakMap<PodInfo, readonly Constraint[]>();

function constraintsOf(pod: PodInfo): readonly Constraint[] {
  let constraints = parsed.get(pod);
  if (constraints === undefined) {
    const raw = (pod.pod['spec']?.topologySpreadConstraints ?? []) as readonly RawConstraint[];
    constraints = raw.map((each) => ({
      topologyKey: each.topologyKey ?? '',
      maxSkew: each.maxSkew ?? 1,
      minDomains: each.minDomains ?? 1,
      hard: each.whenUnsatisfiable !== 'ScheduleAnyway',
      selector: selectorOf(each, pod),
      honorAffinity: each.nodeAffinityPolicy !== 'Ignore',
      honorTaints: each.nodeTaintsPolicy === 'Honor',
    }));
    parsed.set(pod, constraints);
  }
  return constraints;
}

function selectorOf(raw: RawConstraint, pod: PodInfo): LabelSelector {
  try {
    const base = labelSelectorOf(raw.labelSelector);
    const extra = (raw.matchLabelKeys ?? []).flatMap((key) => {
      const value = pod.labels[key];
      return value === undefined ? [] : [{ key, operator: '=' as const, values: [value] }];
    });
    return extra.length === 0 || base.matchesNothing ? base : new Selector([...base.requirements, ...extra]);
  } catch {
    return nothing;
  }
}

/** A constraint for pods that have none of their own; the selector is that of the services and workloads behind a pod. */
export interface DefaultConstraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway';
  readonly minDomains?: number;
  readonly nodeAffinityPolicy?: string;
  readonly nodeTaintsPolicy?: string;
}

const systemDefaults: readonly DefaultConstraint[] = [
  { topologyKey: hostnameKey, maxSkew: 3, whenUnsatisfiable: 'ScheduleAnyway' },
  { topologyKey: zoneKey, maxSkew: 5, whenUnsatisfiable: 'ScheduleAnyway' },
];

function defaultConstraints(cycle: Cycle, defaults: readonly DefaultConstraint[]): readonly Constraint[] {
  if (defaults.length === 0) return [];
  const set = cycle.cluster.defaultSelector(cycle.pod);
  if (set === undefined || set.size === 0) return [];
  const selector = labelSelectorFromSet(Object.fromEntries(set));
  return defaults.map((each) => ({
    topologyKey: each.topologyKey,
    maxSkew: each.maxSkew,
    minDomains: each.minDomains ?? 1,
    hard: each.whenUnsatisfiable !== 'ScheduleAnyway',
    selector,
    honorAffinity: each.nodeAffinityPolicy !== 'Ignore',
    honorTaints: each.nodeTaintsPolicy === 'Honor',
  }));
}

function counts(constraint: Constraint, pod: PodInfo, incoming: PodInfo): boolean {
  return !pod.terminating && pod.namespace === incoming.namespace && constraint.selector.matches(pod.labels);
}

function eligible(constraint: Constraint, pod: PodInfo, node: NodeInfo): boolean {
  if (constraint.honorAffinity && !nodeAffinityMatches(pod, node)) return false;
  if (!constraint.honorTaints) return true;
  return node.taints.every(
    (taint) => taint.effect === 'PreferNoSchedule' || tolerates(pod.tolerations, taint),
  );
}

function hasAllKeys(constraints: readonly Constraint[], node: NodeInfo): boolean {
  return constraints.every(({ topologyKey }) => node.labels[topologyKey] !== undefined);
}

interface FilterState {
  readonly constraints: readonly Constraint[];
  /** Per constraint: domain → matching pods. */
  readonly domains: readonly Map<string, number>[];
}

/** Spreads pods over domains. `defaults` replace upstream's system defaults (`defaultingType: List`). */
export function podTopologySpread(defaults?: readonly DefaultConstraint[]): Plugin {
  const constraintsFor = (cycle: Cycle): readonly Constraint[] => {
    const own = constraintsOf(cycle.pod);
    return own.length > 0 ? own : defaultConstraints(cycle, defaults ?? systemDefaults);
  };
  return {
    name,
    preFilter: (cycle) => {
      const constraints = constraintsFor(cycle).filter(({ hard }) => hard);
      if (constraints.length === 0) return { skip: true };
      const domains = constraints.map(() => new Map<string, number>());
      for (const node of cycle.nodes) {
        if (!hasAllKeys(constraints, node)) continue;
        constraints.forEach((constraint, index) => {
          if (!eligible(constraint, cycle.pod, node)) return;
          let count = 0;
          for (const pod of node.pods.values()) if (counts(constraint, pod, cycle.pod)) count++;
          const map = domains[index] as Map<string, number>;
          const domain = node.labels[constraint.topologyKey] as string;
          map.set(domain, (map.get(domain) ?? 0) + count);
        });
      }
      const state: FilterState = { constraints, domains };
      cycle.state.set(name, state);
      return undefined;
    },
    cloneState: (state) => {
      const { constraints, domains } = state as FilterState;
      return { constraints, domains: domains.map((map) => new Map(map)) };
    },
    adjust: (cycle, pod, node, sign) => {
      const state = cycle.state.get(name) as FilterState | undefined;
      if (state === undefined || !hasAllKeys(state.constraints, node)) return;
      state.constraints.forEach((constraint, index) => {
        if (!counts(constraint, pod, cycle.pod) || !eligible(constraint, cycle.pod, node)) return;
        const map = state.domains[index] as Map<string, number>;
        const domain = node.labels[constraint.topologyKey] as string;
        map.set(domain, (map.get(domain) ?? 0) + sign);
      });
    },
    filter: (cycle, node) => {
      const { constraints, domains } = cycle.state.get(name) as FilterState;
      for (const [index, constraint] of constraints.entries()) {
        const domain = node.labels[constraint.topologyKey];
        const missing = "node(s) didn't match pod topology spread constraints";
        if (domain === undefined)
          return refuse(name, 'unschedulableAndUnresolvable', `${missing} (missing required label)`);
        const map = domains[index] as Map<string, number>;
        let min = map.size < constraint.minDomains ? 0 : Number.POSITIVE_INFINITY;
        if (min !== 0) for (const count of map.values()) min = Math.min(min, count);
        if (min === Number.POSITIVE_INFINITY) min = 0;
        const self = constraint.selector.matches(cycle.pod.labels) ? 1 : 0;
        if ((map.get(domain) ?? 0) + self - min > constraint.maxSkew)
          return refuse(name, 'unschedulable', missing);
      }
      return undefined;
    },
    preScore: (cycle, nodes) => {
      const constraints = constraintsFor(cycle).filter(({ hard }) => !hard);
      if (constraints.length === 0) return true;
      // With the system's defaults a node without a zone still counts by its name.
      const needAll = defaults !== undefined || constraintsOf(cycle.pod).length > 0;
      const ignored = new Set<string>();
      const domains = constraints.map(() => new Map<string, number>());
      let scored = 0;
      for (const node of nodes) {
        if (needAll && !hasAllKeys(constraints, node)) {
          ignored.add(node.name);
          continue;
        }
        scored++;
        constraints.forEach(({ topologyKey }, index) => {
          const domain = node.labels[topologyKey];
          if (topologyKey !== hostnameKey && domain !== undefined)
            (domains[index] as Map<string, number>).set(domain, 0);
        });
      }
      const weights = constraints.map(({ topologyKey }, index) =>
        Math.log((topologyKey === hostnameKey ? scored : (domains[index] as Map<string, number>).size) + 2),
      );
      for (const node of cycle.nodes) {
        if (needAll && !hasAllKeys(constraints, node)) continue;
        constraints.forEach((constraint, index) => {
          const domain = node.labels[constraint.topologyKey];
          const map = domains[index] as Map<string, number>;
          if (domain === undefined || !map.has(domain) || !eligible(constraint, cycle.pod, node)) return;
          for (const pod of node.pods.values())
            if (counts(constraint, pod, cycle.pod)) map.set(domain, (map.get(domain) ?? 0) + 1);
        });
      }
      cycle.state.set(`${name}/score`, { constraints, domains, weights, ignored });
      return undefined;
    },
    score: (cycle, node) => {
      const { constraints, domains, weights, ignored } = cycle.state.get(`${name}/score`) as ScoreState;
      if (ignored.has(node.name)) return 0;
      let sum = 0;
      constraints.forEach((constraint, index) => {
        const domain = node.labels[constraint.topologyKey];
        if (domain === undefined) return;
        let count = 0;
        if (constraint.topologyKey === hostnameKey) {
          for (const pod of node.pods.values()) if (counts(constraint, pod, cycle.pod)) count++;
        } else count = (domains[index] as Map<string, number>).get(domain) ?? 0;
        sum += count * (weights[index] as number) + (constraint.maxSkew - 1);
      });
      return Math.round(sum);
    },
    normalize: (cycle, scores, nodes) => {
      const { ignored } = cycle.state.get(`${name}/score`) as ScoreState;
      let min = Number.POSITIVE_INFINITY;
      let max = Number.NEGATIVE_INFINITY;
      nodes.forEach((node, index) => {
        if (ignored.has(node.name)) return;
        min = Math.min(min, scores[index] as number);
        max = Math.max(max, scores[index] as number);
      });
      nodes.forEach((node, index) => {
        if (ignored.has(node.name)) scores[index] = 0;
        else
          scores[index] = max === 0 ? 100 : Math.floor((100 * (max + min - (scores[index] as number))) / max);
      });
    },
    mayHelp: (pod, event) =>
      podSetChanged(event) ||
      podItselfChanged(pod, event) ||
      (event.resource === 'AssignedPod' &&
        event.object?.metadata.deletionTimestamp !== event.old?.metadata.deletionTimestamp) ||
      (event.resource === 'Node' && event.action === 'delete') ||
      nodeMoved(event),
  };
}

interface ScoreState {
  readonly constraints: readonly Constraint[];
  readonly domains: readonly Map<string, number>[];
  readonly weights: readonly number[];
  readonly ignored: ReadonlySet<string>;
}
