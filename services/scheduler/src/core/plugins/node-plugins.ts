import type { NodeSelectorTerm } from '@pilothouse/apimachinery';
import { nodeTermMatches } from '@pilothouse/apimachinery';
import { nodeBecame, nodeMoved, podItselfChanged } from '../event-hints.ts';
import type { Plugin } from '../framework.ts';
import { defaultNormalize, refuse } from '../framework.ts';
import type { PodInfo } from '../pod-info.ts';
import { tolerates } from '../tolerations.ts';
import type { NodeInfo } from '../node-info.ts';

/** Pods wait while they carry scheduling gates. */
export const schedulingGates: Plugin = {
  name: 'SchedulingGates',
  preEnqueue: (pod) => {
    const gates = (pod.pod['spec']?.schedulingGates ?? []) as { name?: string }[];
    if (gates.length === 0) return undefined;
    return refuse(
      'SchedulingGates',
      'pending',
      `waiting for scheduling gates: [${gates.map((gate) => gate.name ?? '').join(' ')}]`,
    );
  },
};

export const nodeName: Plugin = {
  name: 'NodeName',
  filter: ({ pod }, node) => {
    const wanted = pod.pod['spec']?.nodeName as string | undefined;
    if (wanted === undefined || wanted === '' || wanted === node.name) return undefined;
    return refuse('NodeName', 'unschedulableAndUnresolvable', "node(s) didn't match the requested node name");
  },
  mayHelp: (_pod, event) => event.resource === 'Node' && event.action === 'add',
};

const unschedulableTaint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  filter: ({ pod }, node) => {
    if (!node.unschedulable || tolerates(pod.tolerations, unschedulableTaint)) return undefined;
    return refuse('NodeUnschedulable', 'unschedulableAndUnresolvable', 'node(s) were unschedulable');
  },
  mayHelp: (pod, event) =>
    podItselfChanged(pod, event) ||
    nodeBecame(event, (node) => !node.unschedulable || tolerates(pod.tolerations, unschedulableTaint)),
};

function untoleratedTaint(pod: PodInfo, node: NodeInfo): boolean {
  for (const taint of node.taints) {
    if ((taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') && !tolerates(pod.tolerations, taint))
      return true;
  }
  return false;
}

export const taintToleration: Plugin = {
  name: 'TaintToleration',
  filter: ({ pod }, node) => {
    if (node.taints.length === 0 || !untoleratedTaint(pod, node)) return undefined;
    return refuse('TaintToleration', 'unschedulableAndUnresolvable', 'node(s) had untolerated taint(s)');
  },
  score: ({ pod }, node) => {
    let count = 0;
    for (const taint of node.taints) {
      if (taint.effect !== 'PreferNoSchedule') continue;
      const fitting = pod.tolerations.filter(
        ({ effect }) => (effect ?? '') === '' || effect === 'PreferNoSchedule',
      );
      if (!tolerates(fitting, taint)) count++;
    }
    return count;
  },
  normalize: (_cycle, scores) => defaultNormalize(scores, true),
  mayHelp: (pod, event) =>
    podItselfChanged(pod, event) || nodeBecame(event, (node) => !untoleratedTaint(pod, node)),
};

/** True when the node satisfies nodeSelector and the required node affinity. */
export function nodeAffinityMatches(pod: PodInfo, node: NodeInfo): boolean {
  for (const key in pod.nodeSelector) if (node.labels[key] !== pod.nodeSelector[key]) return false;
  const terms = pod.requiredNodeTerms;
  return terms === undefined || terms.some((term) => nodeTermMatches(term, node.labels, node.name));
}

/** NodeAffinityArgs.addedAffinity: holds for all pods of a profile, beside their own. */
export interface AddedAffinity {
  readonly required: readonly NodeSelectorTerm[] | undefined;
  readonly preferred: readonly { readonly weight: number; readonly preference: NodeSelectorTerm }[];
}

const noAddedAffinity: AddedAffinity = { required: undefined, preferred: [] };

/** Required and preferred node affinity, and the node selector. */
export function nodeAffinity(added: AddedAffinity = noAddedAffinity): Plugin {
  const isAdmitted = (node: NodeInfo): boolean =>
    added.required === undefined ||
    added.required.some((term) => nodeTermMatches(term, node.labels, node.name));
  return {
    name: 'NodeAffinity',
    preFilter: ({ pod }) => {
      const terms = pod.requiredNodeTerms;
      const isFree = terms === undefined && Object.keys(pod.nodeSelector).length === 0;
      if (isFree && added.required === undefined) return { skip: true };
      if (terms === undefined) return undefined;
      // When every term names its nodes (as daemon pods do), only those need a look.
      const names = new Set<string>();
      for (const term of terms) {
        let ofTerm: Set<string> | undefined;
        for (const field of term.matchFields ?? []) {
          if (field.key !== 'metadata.name' || field.operator !== 'In') continue;
          const values = new Set(field.values ?? []);
          ofTerm = ofTerm === undefined ? values : new Set([...ofTerm].filter((name) => values.has(name)));
        }
        if (ofTerm === undefined) return undefined;
        for (const name of ofTerm) names.add(name);
      }
      if (terms.length > 0 && names.size === 0) {
        return {
          status: refuse('NodeAffinity', 'unschedulableAndUnresolvable', 'pod affinity terms conflict'),
        };
      }
      return names.size > 0 ? { nodeNames: names } : undefined;
    },
    filter: ({ pod }, node) => {
      if (!isAdmitted(node))
        return refuse(
          'NodeAffinity',
          'unschedulableAndUnresolvable',
          "node(s) didn't match scheduler-enforced node affinity",
        );
      if (nodeAffinityMatches(pod, node)) return undefined;
      return refuse(
        'NodeAffinity',
        'unschedulableAndUnresolvable',
        "node(s) didn't match Pod's node affinity/selector",
      );
    },
    preScore: ({ pod }) => pod.preferredNodeTerms.length + added.preferred.length === 0,
    score: ({ pod }, node) => {
      let sum = 0;
      for (const terms of [pod.preferredNodeTerms, added.preferred]) {
        for (const { weight, preference } of terms) {
          if (weight !== 0 && nodeTermMatches(preference, node.labels, node.name)) sum += weight;
        }
      }
      return sum;
    },
    normalize: (_cycle, scores) => defaultNormalize(scores, false),
    mayHelp: (pod, event) => nodeBecame(event, (node) => isAdmitted(node) && nodeAffinityMatches(pod, node)),
  };
}

export const nodePorts: Plugin = {
  name: 'NodePorts',
  preFilter: ({ pod }) => (pod.hostPorts.length === 0 ? { skip: true } : undefined),
  filter: ({ pod }, node) =>
    pod.hostPorts.some((port) => node.portConflicts(port))
      ? refuse('NodePorts', 'unschedulable', "node(s) didn't have free ports for the requested pod ports")
      : undefined,
  mayHelp: (_pod, event) =>
    (event.resource === 'AssignedPod' && event.action === 'delete') || nodeMoved(event),
};

const mebibyte = 1024 * 1024;
const imageBytesMin = 23 * mebibyte;
const imageBytesMaxPerContainer = 1000 * mebibyte;

function normalizedImage(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name;
}

export const imageLocality: Plugin = {
  name: 'ImageLocality',
  preScore: (cycle) => {
    const wanted = cycle.pod.images.map(normalizedImage);
    const spread = new Map<string, number>();
    for (const node of cycle.nodes) {
      if (node.images.size === 0) continue;
      for (const image of new Set(wanted))
        if (node.images.has(image)) spread.set(image, (spread.get(image) ?? 0) + 1);
    }
    if (spread.size === 0) return true;
    cycle.state.set('ImageLocality', { wanted, spread });
    return undefined;
  },
  score: (cycle, node) => {
    const { wanted, spread } = cycle.state.get('ImageLocality') as {
      wanted: string[];
      spread: Map<string, number>;
    };
    let bytes = 0;
    for (const image of wanted) {
      const size = node.images.get(image);
      // An image that many nodes have counts more, so that pods do not all heap on the one node that has it.
      if (size !== undefined) bytes += Math.floor(size * ((spread.get(image) ?? 0) / cycle.nodes.length));
    }
    const max = imageBytesMaxPerContainer * wanted.length;
    const clamped = Math.min(Math.max(bytes, imageBytesMin), max);
    return max <= imageBytesMin ? 0 : Math.floor((100 * (clamped - imageBytesMin)) / (max - imageBytesMin));
  },
};
