import type { Random } from '@pilothouse/base';
import type { SchedulerCache } from './cache.ts';
import type { ClusterView, Cycle, Plugin } from './framework.ts';
import { refuse } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { Nominator } from './nominator.ts';
import type { PodInfo } from './pod-info.ts';
import type { Profile } from './profile.ts';
import type { PreemptionCandidate } from './preemption.ts';
import { preempt } from './preemption.ts';
import type { Diagnosis, PluginStatus } from './status.ts';
import { fitErrorMessage } from './status.ts';
import type { VolumeDecision } from './plugins/volumes.ts';
import { decideVolumes } from './plugins/volumes.ts';

/** Below this number of nodes all are looked at, and at least so many fitting ones are sought. */
const feasibleNodesMin = 100;

export type Placement =
  | {
      readonly kind: 'placed';
      readonly nodeName: string;
      readonly volumes: readonly VolumeDecision[];
      readonly evaluatedNodes: number;
    }
  | {
      readonly kind: 'unschedulable';
      readonly message: string;
      readonly unschedulablePlugins: ReadonlySet<string>;
      /** Room will be made on this node by evicting pods. */
      readonly preemption: PreemptionCandidate | undefined;
      /** What status.nominatedNodeName should become; undefined: leave it. */
      readonly nominatedNodeName: string | undefined;
    };

export interface AlgorithmOptions {
  readonly cache: SchedulerCache;
  readonly nominator: Nominator;
  readonly cluster: ClusterView;
  readonly profile: Profile;
  readonly random: Random;
}

/** Finds a node for a pod. Pure decision: what follows (assume, bind, evict) is for the caller. */
export class SchedulingAlgorithm {
  readonly #options: AlgorithmOptions;
  #nextStart = 0;
  constructor(options: AlgorithmOptions) {
    this.#options = options;
  }

  schedule(pod: PodInfo): Placement {
    const { cache, cluster, profile } = this.#options;
    const nodes = cache.nodes();
    const cycle: Cycle = {
      pod,
      nodes,
      state: new Map(),
      cluster,
      skipFilter: new Set(),
      skipScore: new Set(),
    };
    const nodeStatuses = new Map<string, PluginStatus>();
    const diagnosis = {
      nodeCount: nodes.length,
      nodeStatuses,
      absent: undefined as PluginStatus | undefined,
      preFilterMessage: '',
      postFilterMessage: '',
      unschedulablePlugins: new Set<string>(),
    };
    if (nodes.length === 0) return this.#fail(diagnosis, undefined, undefined);
    let allowed: Set<string> | undefined;
    const narrowing: string[] = [];
    for (const plugin of profile.preFilter) {
      const result = plugin.preFilter?.(cycle);
      if (result?.skip === true) cycle.skipFilter.add(plugin.name);
      if (result?.status !== undefined) {
        diagnosis.absent = result.status;
        diagnosis.preFilterMessage = result.status.reasons.join(', ');
        diagnosis.unschedulablePlugins.add(result.status.plugin);
        // No node was looked at, so there is nothing to preempt on; upstream words it so.
        diagnosis.postFilterMessage = 'not found';
        return this.#fail(diagnosis, undefined, undefined);
      }
      if (result?.nodeNames !== undefined) {
        const { nodeNames } = result;
        allowed =
          allowed === undefined
            ? new Set(nodeNames)
            : new Set([...allowed].filter((each) => nodeNames.has(each)));
        narrowing.push(plugin.name);
        if (allowed.size === 0) {
          diagnosis.absent = refuse(
            plugin.name,
            'unschedulableAndUnresolvable',
            `node(s) didn't satisfy plugin(s) [${narrowing.join(' ')}] simultaneously`,
          );
          diagnosis.preFilterMessage = diagnosis.absent.reasons.join(', ');
          for (const each of narrowing) diagnosis.unschedulablePlugins.add(each);
          return this.#postFilter(cycle, diagnosis);
        }
      }
    }
    const filters = profile.filter.filter((plugin) => !cycle.skipFilter.has(plugin.name));
    const feasible = this.#findFeasible(cycle, filters, allowed, diagnosis);
    if (feasible.length === 0) {
      if (allowed !== undefined) {
        diagnosis.absent = refuse(
          narrowing[0] ?? '',
          'unschedulableAndUnresolvable',
          `node(s) didn't satisfy plugin(s) [${narrowing.join(' ')}]`,
        );
        for (const each of narrowing) diagnosis.unschedulablePlugins.add(each);
      }
      return this.#postFilter(cycle, diagnosis);
    }
    const node = feasible.length === 1 ? (feasible[0] as NodeInfo) : this.#best(cycle, feasible);
    return {
      kind: 'placed',
      nodeName: node.name,
      volumes: decideVolumes(cycle, node) ?? [],
      evaluatedNodes: feasible.length + nodeStatuses.size,
    };
  }

  #findFeasible(
    cycle: Cycle,
    filters: readonly Plugin[],
    allowed: ReadonlySet<string> | undefined,
    diagnosis: { nodeStatuses: Map<string, PluginStatus>; unschedulablePlugins: Set<string> },
  ): NodeInfo[] {
    const { cache, nominator } = this.#options;
    const nominated =
      (cycle.pod.pod['status']?.nominatedNodeName as string | undefined) ?? nominator.nodeOf(cycle.pod.uid);
    if (nominated !== undefined && nominated !== '') {
      const node = cache.node(nominated);
      if (node !== undefined && this.filterWithNominated(cycle, filters, node) === undefined) return [node];
    }
    const candidates =
      allowed === undefined
        ? cycle.nodes
        : [...allowed].map((each) => cache.node(each)).filter((node) => node !== undefined);
    const wanted = this.#feasibleWanted(candidates.length);
    const feasible: NodeInfo[] = [];
    const start = allowed === undefined ? this.#nextStart % Math.max(1, candidates.length) : 0;
    let looked = 0;
    for (; looked < candidates.length && feasible.length < wanted; looked++) {
      const node = candidates[(start + looked) % candidates.length] as NodeInfo;
      const status = this.filterWithNominated(cycle, filters, node);
      if (status === undefined) feasible.push(node);
      else {
        diagnosis.nodeStatuses.set(node.name, status);
        diagnosis.unschedulablePlugins.add(status.plugin);
      }
    }
    // Start elsewhere next time, so that a limited search does not favour the same nodes.
    if (allowed === undefined) this.#nextStart = (start + looked) % Math.max(1, candidates.length);
    return feasible;
  }

  #feasibleWanted(count: number): number {
    if (count < feasibleNodesMin) return count;
    let percentage = this.#options.profile.percentageOfNodesToScore;
    if (percentage === 0) percentage = Math.max(5, 50 - Math.floor(count / 125));
    if (percentage >= 100) return count;
    return Math.max(feasibleNodesMin, Math.floor((count * percentage) / 100));
  }

  /** First refusal of the filters, if any; pods promised to the node with no lower priority are counted as if they were there. */
  filterWithNominated(cycle: Cycle, filters: readonly Plugin[], node: NodeInfo): PluginStatus | undefined {
    const promised: PodInfo[] = [];
    for (const pod of this.#options.nominator.podsFor(node.name)) {
      if (pod.uid !== cycle.pod.uid && pod.priority >= cycle.pod.priority && !node.pods.has(pod.uid))
        promised.push(pod);
    }
    if (promised.length > 0) {
      const { plugins } = this.#options.profile;
      const trial = trialCycle(cycle, plugins);
      const copy = node.clone();
      for (const pod of promised) {
        copy.addPod(pod);
        for (const plugin of plugins) plugin.adjust?.(trial, pod, copy, 1);
      }
      const status = runFilters(trial, filters, copy);
      if (status !== undefined) return status;
    }
    return runFilters(cycle, filters, node);
  }

  #best(cycle: Cycle, feasible: readonly NodeInfo[]): NodeInfo {
    const totals = new Float64Array(feasible.length);
    for (const { plugin, weight } of this.#options.profile.score) {
      if (plugin.preScore?.(cycle, feasible) === true) continue;
      const scores = feasible.map((node) => (plugin.score as NonNullable<Plugin['score']>)(cycle, node));
      plugin.normalize?.(cycle, scores, feasible);
      for (let index = 0; index < scores.length; index++)
        totals[index] = (totals[index] as number) + weight * (scores[index] as number);
    }
    let best = 0;
    let ties = 1;
    for (let index = 1; index < totals.length; index++) {
      const score = totals[index] as number;
      const highest = totals[best] as number;
      if (score > highest) {
        best = index;
        ties = 1;
      } else if (score === highest && this.#options.random.integer(++ties) === 0) best = index;
    }
    return feasible[best] as NodeInfo;
  }

  #postFilter(cycle: Cycle, diagnosis: Diagnosis & { postFilterMessage: string }): Placement {
    const { profile, cache } = this.#options;
    // What upstream's DynamicResources says of every pod without resource claims.
    const messages = profile.mindsClaims ? ['no new claims to deallocate'] : [];
    if (profile.preemption === undefined) {
      diagnosis.postFilterMessage = messages.join(', ');
      return this.#fail(diagnosis, undefined, undefined);
    }
    const outcome = preempt({
      cycle,
      diagnosis,
      plugins: profile.plugins,
      limits: profile.preemption,
      node: (name) => cache.node(name),
      nominatedNodeName:
        (cycle.pod.pod['status']?.nominatedNodeName as string | undefined) ??
        this.#options.nominator.nodeOf(cycle.pod.uid),
      filter: (trial, node) =>
        this.filterWithNominated(
          trial,
          profile.filter.filter((plugin) => !trial.skipFilter.has(plugin.name)),
          node,
        ),
      random: this.#options.random,
    });
    if (outcome.message !== '')
      diagnosis.postFilterMessage = [...messages, `preemption: ${outcome.message}`].join(', ');
    return this.#fail(diagnosis, outcome.candidate, outcome.nominatedNodeName);
  }

  #fail(
    diagnosis: Diagnosis,
    preemption: PreemptionCandidate | undefined,
    nominatedNodeName: string | undefined,
  ): Placement {
    return {
      kind: 'unschedulable',
      message: fitErrorMessage(diagnosis),
      unschedulablePlugins: diagnosis.unschedulablePlugins,
      preemption,
      nominatedNodeName,
    };
  }
}

function runFilters(cycle: Cycle, filters: readonly Plugin[], node: NodeInfo): PluginStatus | undefined {
  for (const plugin of filters) {
    const status = (plugin.filter as NonNullable<Plugin['filter']>)(cycle, node);
    if (status !== undefined) return status;
  }
  return undefined;
}

/** The same attempt with a state of its own, for a what-if. */
export function trialCycle(cycle: Cycle, plugins: readonly Plugin[]): Cycle {
  const state = new Map(cycle.state);
  for (const plugin of plugins) {
    const own = state.get(plugin.name);
    if (own !== undefined && plugin.cloneState !== undefined) state.set(plugin.name, plugin.cloneState(own));
  }
  return { ...cycle, state };
}
