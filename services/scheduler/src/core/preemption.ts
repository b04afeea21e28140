import type { KubeObject } from '@pilothouse/apimachinery';
import { labelSelectorOf, parseTime } from '@pilothouse/apimachinery';
import type { Random } from '@pilothouse/base';
import type { Cycle, Plugin } from './framework.ts';
import { refuse } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Diagnosis, PluginStatus } from './status.ts';
import { fitErrorMessage } from './status.ts';

/** DefaultPreemptionArgs: how many nodes are tried before the best of them is taken. */
export interface PreemptionLimits {
  readonly minCandidateNodesPercentage: number;
  readonly minCandidateNodesAbsolute: number;
}

export const defaultPreemptionLimits: PreemptionLimits = {
  minCandidateNodesPercentage: 10,
  minCandidateNodesAbsolute: 100,
};

export interface PreemptionCandidate {
  readonly nodeName: string;
  /** Most important first. */
  readonly victims: readonly PodInfo[];
  readonly disruptionViolations: number;
}

export interface PreemptionInput {
  readonly cycle: Cycle;
  readonly diagnosis: Diagnosis;
  readonly plugins: readonly Plugin[];
  readonly nominatedNodeName: string;
  readonly random: Random;
  readonly limits: PreemptionLimits;
  node(name: string): NodeInfo | undefined;
  /** First refusal of the filters on a node, promised pods counted. */
  filter(cycle: Cycle, node: NodeInfo): PluginStatus | undefined;
}

export interface PreemptionOutcome {
  readonly candidate: PreemptionCandidate | undefined;
  /** Why there is none; goes into the event. */
  readonly message: string;
  readonly nominatedNodeName: string | undefined;
}

/** Looks for a node that would fit if pods of lower priority went (upstream's DefaultPreemption). */
export function preempt(input: PreemptionInput): PreemptionOutcome {
  const { cycle, diagnosis } = input;
  const ineligible = eligibilityProblem(input);
  if (ineligible !== undefined)
    return { candidate: undefined, message: ineligible, nominatedNodeName: undefined };
  const possible = cycle.nodes.filter((node) => {
    const status = diagnosis.nodeStatuses.get(node.name) ?? diagnosis.absent;
    return status !== undefined && status.code === 'unschedulable';
  });
  const statuses = new Map<string, PluginStatus>();
  const candidates: PreemptionCandidate[] = [];
  if (possible.length > 0) {
    const wanted = Math.min(
      possible.length,
      Math.max(
        input.limits.minCandidateNodesAbsolute,
        Math.floor((possible.length * input.limits.minCandidateNodesPercentage) / 100),
      ),
    );
    const budgets = cycle.cluster.disruptionBudgets(cycle.pod.namespace);
    const offset = input.random.integer(possible.length);
    for (let index = 0; index < possible.length && candidates.length < wanted; index++) {
      const node = possible[(offset + index) % possible.length] as NodeInfo;
      const result = selectVictims(input, node, budgets);
      if ('code' in result) statuses.set(node.name, result);
      else candidates.push(result);
    }
  }
  const candidate = pickCandidate(candidates);
  if (candidate !== undefined) return { candidate, message: '', nominatedNodeName: candidate.nodeName };
  const message = fitErrorMessage({
    nodeCount: cycle.nodes.length,
    nodeStatuses: statuses,
    absent: refuse('', 'unschedulableAndUnresolvable', 'Preemption is not helpful for scheduling'),
    preFilterMessage: '',
    postFilterMessage: '',
    unschedulablePlugins: new Set(),
  });
  return { candidate: undefined, message, nominatedNodeName: '' };
}

function eligibilityProblem(input: PreemptionInput): string | undefined {
  const { cycle, diagnosis, nominatedNodeName } = input;
  const { pod } = cycle;
  if (pod.pod['spec']?.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.';
  if (nominatedNodeName === '') return undefined;
  const status = diagnosis.nodeStatuses.get(nominatedNodeName);
  // The node it waits for can not be used any more: try again at once.
  if (status?.code === 'unschedulableAndUnresolvable') return undefined;
  const node = input.node(nominatedNodeName);
  for (const other of node?.pods.values() ?? []) {
    if (other.priority < pod.priority && isBeingPreempted(other))
      return 'not eligible due to a terminating pod on the nominated node.';
  }
  return undefined;
}

function isBeingPreempted(pod: PodInfo): boolean {
  if (!pod.terminating) return false;
  const conditions = (pod.pod['status']?.conditions ?? []) as {
    type?: string;
    status?: string;
    reason?: string;
  }[];
  return conditions.some(
    ({ type, status, reason }) =>
      type === 'DisruptionTarget' && status === 'True' && reason === 'PreemptionByScheduler',
  );
}

function startTime(pod: PodInfo): number {
  const text = pod.pod['status']?.startTime as string | undefined;
  return (text === undefined ? undefined : parseTime(text)) ?? Number.MAX_SAFE_INTEGER;
}

/** More important first: by priority, then who started earlier. */
function byImportance(left: PodInfo, right: PodInfo): number {
  return right.priority - left.priority || startTime(left) - startTime(right);
}

function selectVictims(
  input: PreemptionInput,
  original: NodeInfo,
  budgets: readonly KubeObject[],
): PreemptionCandidate | PluginStatus {
  const { cycle, plugins } = input;
  const { pod } = cycle;
  const node = original.clone();
  const trial: Cycle = { ...cycle, state: new Map(cycle.state) };
  for (const plugin of plugins) {
    const own = trial.state.get(plugin.name);
    if (own !== undefined && plugin.cloneState !== undefined)
      trial.state.set(plugin.name, plugin.cloneState(own));
  }
  const take = (victim: PodInfo): void => {
    node.removePod(victim.uid);
    for (const plugin of plugins) plugin.adjust?.(trial, victim, node, -1);
  };
  const putBack = (victim: PodInfo): void => {
    node.addPod(victim);
    for (const plugin of plugins) plugin.adjust?.(trial, victim, node, 1);
  };
  const potential = [...original.pods.values()]
    .filter((other) => other.priority < pod.priority)
    .sort(byImportance);
  if (potential.length === 0) {
    return refuse(
      'DefaultPreemption',
      'unschedulableAndUnresolvable',
      'No preemption victims found for incoming pod',
    );
  }
  for (const victim of potential) take(victim);
  const status = input.filter(trial, node);
  if (status !== undefined) return status;
  const { violating, others } = splitByBudgets(potential, budgets);
  const victims: PodInfo[] = [];
  let disruptionViolations = 0;
  const reprieve = (victim: PodInfo): boolean => {
    putBack(victim);
    if (input.filter(trial, node) === undefined) return true;
    take(victim);
    victims.push(victim);
    return false;
  };
  for (const victim of violating) if (!reprieve(victim)) disruptionViolations++;
  for (const victim of others) reprieve(victim);
  victims.sort(byImportance);
  return { nodeName: original.name, victims, disruptionViolations };
}

/** Which of the pods would break a disruption budget if all went, in order. */
function splitByBudgets(
  pods: readonly PodInfo[],
  budgets: readonly KubeObject[],
): { violating: PodInfo[]; others: PodInfo[] } {
  const left = budgets.map((budget) => (budget['status']?.disruptionsAllowed as number | undefined) ?? 0);
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const pod of pods) {
    let violates = false;
    budgets.forEach((budget, index) => {
      if (budget.metadata.namespace !== pod.namespace || Object.keys(pod.labels).length === 0) return;
      const selector = labelSelectorOf(budget['spec']?.selector);
      if (selector.isEmpty || !selector.matches(pod.labels)) return;
      if (budget['status']?.disruptedPods?.[pod.name] !== undefined) return;
      left[index] = (left[index] as number) - 1;
      if ((left[index] as number) < 0) violates = true;
    });
    (violates ? violating : others).push(pod);
  }
  return { violating, others };
}

function pickCandidate(candidates: readonly PreemptionCandidate[]): PreemptionCandidate | undefined {
  const highest = ({ victims }: PreemptionCandidate): number =>
    victims[0]?.priority ?? Number.MIN_SAFE_INTEGER;
  const sum = ({ victims }: PreemptionCandidate): number =>
    victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  const earliest = ({ victims }: PreemptionCandidate): number => {
    const top = victims[0]?.priority;
    return Math.min(...victims.filter(({ priority }) => priority === top).map(startTime));
  };
  // Each rule breaks the ties of the one before.
  const rules: ((candidate: PreemptionCandidate) => number)[] = [
    ({ disruptionViolations }) => disruptionViolations,
    highest,
    sum,
    ({ victims }) => victims.length,
    (candidate) => -earliest(candidate),
  ];
  let best = candidates;
  for (const rule of rules) {
    if (best.length <= 1) break;
    const lowest = Math.min(...best.map(rule));
    best = best.filter((candidate) => rule(candidate) === lowest);
  }
  return best[0];
}
