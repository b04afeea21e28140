import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionPlugin } from '../interface.ts';
import { podSpec } from '@pilothouse/api/quota';
import { isResource } from '../refusal.ts';

const notReady = 'node.kubernetes.io/not-ready';
const topologyLabels: readonly string[] = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

/** A node starts with the not-ready taint, so that nothing is placed on it before its conditions are known. */
export function taintNodesByCondition(): AdmissionPlugin {
  return {
    name: 'TaintNodesByCondition',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      if (!isResource(attributes, '', 'nodes') || attributes.object === undefined) return;
      const spec = (attributes.object['spec'] ??= {}) as { taints?: { key: string; effect: string }[] };
      const taints = (spec.taints ??= []);
      if (taints.some((taint) => taint.key === notReady && taint.effect === 'NoSchedule')) return;
      taints.push({ key: notReady, effect: 'NoSchedule' });
    },
  };
}

/** A pod that is bound to a node gets the node's zone and region as labels. */
export function podTopologyLabels({ objects }: AdmissionDependencies): AdmissionPlugin {
  const copy = async (target: KubeObject, nodeName: string): Promise<void> => {
    let node = objects.cached(resources.nodes).get('', nodeName);
    if (node === undefined) {
      try {
        node = await objects.get(resources.nodes, '', nodeName);
      } catch (error) {
        // A pod may be bound to a node that registers later.
        if (hasReason(error, 'NotFound')) return;
        throw error;
      }
    }
    for (const label of topologyLabels) {
      const value = node.metadata.labels?.[label];
      if (value !== undefined) target.metadata.labels = { ...target.metadata.labels, [label]: value };
    }
  };
  return {
    name: 'PodTopologyLabels',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      const { object } = attributes;
      if (object === undefined) return;
      if (isResource(attributes, '', 'pods', 'binding') || isResource(attributes, '', 'bindings')) {
        const target = object['target'] as { kind?: string; name?: string } | undefined;
        if (target?.name === undefined || (target.kind !== undefined && target.kind !== 'Node')) return;
        await copy(object, target.name);
      } else if (isResource(attributes, '', 'pods')) {
        const nodeName = podSpec(object).nodeName ?? '';
        if (nodeName !== '') await copy(object, nodeName);
      }
    },
  };
}
