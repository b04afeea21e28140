import type { Plugin } from './framework.ts';
import { dynamicResources } from './plugins/dynamic-resources.ts';
import type { InterPodAffinityOptions } from './plugins/inter-pod-affinity.ts';
import { defaultInterPodAffinity, interPodAffinity } from './plugins/inter-pod-affinity.ts';
import type { AddedAffinity } from './plugins/node-plugins.ts';
import {
  imageLocality,
  nodeAffinity,
  nodeName,
  nodePorts,
  nodeUnschedulable,
  schedulingGates,
  taintToleration,
} from './plugins/node-plugins.ts';
import type { FitOptions } from './plugins/node-resources.ts';
import { balancedAllocation, defaultFit, nodeResourcesFit } from './plugins/node-resources.ts';
import type { DefaultConstraint } from './plugins/pod-topology-spread.ts';
import { podTopologySpread } from './plugins/pod-topology-spread.ts';
import type { ResourceWeight } from './plugins/resource-scoring.ts';
import { defaultResourceWeights } from './plugins/resource-scoring.ts';
import { volumeBinding, volumeRestrictions } from './plugins/volumes.ts';
import { volumeZone } from './plugins/volume-zone.ts';
import type { PreemptionLimits } from './preemption.ts';
import { defaultPreemptionLimits } from './preemption.ts';

/** Extension points of upstream's scheduling framework, in the order of KubeSchedulerConfiguration. */
export const extensionPoints = [
  'preEnqueue',
  'queueSort',
  'preFilter',
  'filter',
  'postFilter',
  'preScore',
  'score',
  'reserve',
  'permit',
  'preBind',
  'bind',
  'postBind',
] as const;
export type ExtensionPoint = (typeof extensionPoints)[number];

/** Arguments of all plugins that take some. */
export interface PluginOptions {
  readonly fit: FitOptions;
  readonly balancedResources: readonly ResourceWeight[];
  readonly addedAffinity: AddedAffinity;
  readonly interPodAffinity: InterPodAffinityOptions;
  /** Undefined: the system's. */
  readonly defaultConstraints: readonly DefaultConstraint[] | undefined;
  readonly preemption: PreemptionLimits;
  readonly volumeBindTimeoutMs: number;
}

export const defaultPluginOptions: PluginOptions = {
  fit: defaultFit,
  balancedResources: defaultResourceWeights,
  addedAffinity: { required: undefined, preferred: [] },
  interPodAffinity: defaultInterPodAffinity,
  defaultConstraints: undefined,
  preemption: defaultPreemptionLimits,
  volumeBindTimeoutMs: 600_000,
};

interface KnownPlugin {
  readonly points: readonly ExtensionPoint[];
  /** Undefined: it is part of the scheduler and only switched here. */
  make?(options: PluginOptions): Plugin;
}

const filters: readonly ExtensionPoint[] = ['preFilter', 'filter'];
const scores: readonly ExtensionPoint[] = ['preScore', 'score'];

/** The plugins of v1.36 by name, with the points where each runs. */
export const pluginCatalog: Readonly<Record<string, KnownPlugin>> = {
  SchedulingGates: { points: ['preEnqueue'], make: () => schedulingGates },
  PrioritySort: { points: ['queueSort'] },
  NodeUnschedulable: { points: ['filter'], make: () => nodeUnschedulable },
  NodeName: { points: ['filter'], make: () => nodeName },
  TaintToleration: { points: ['filter', ...scores], make: () => taintToleration },
  NodeAffinity: {
    points: [...filters, ...scores],
    make: ({ addedAffinity }) => nodeAffinity(addedAffinity),
  },
  NodePorts: { points: filters, make: () => nodePorts },
  NodeResourcesFit: { points: [...filters, ...scores], make: ({ fit }) => nodeResourcesFit(fit) },
  VolumeRestrictions: { points: filters, make: () => volumeRestrictions },
  VolumeBinding: { points: [...filters, 'reserve', 'preBind'], make: () => volumeBinding },
  VolumeZone: { points: filters, make: () => volumeZone },
  PodTopologySpread: {
    points: [...filters, ...scores],
    make: ({ defaultConstraints }) => podTopologySpread(defaultConstraints),
  },
  InterPodAffinity: {
    points: [...filters, ...scores],
    make: (options) => interPodAffinity(options.interPodAffinity),
  },
  DynamicResources: {
    points: ['preEnqueue', ...filters, 'postFilter', 'reserve', 'preBind'],
    make: () => dynamicResources,
  },
  DefaultPreemption: { points: ['postFilter'] },
  NodeResourcesBalancedAllocation: {
    points: scores,
    make: ({ balancedResources }) => balancedAllocation(balancedResources),
  },
  ImageLocality: { points: scores, make: () => imageLocality },
  DefaultBinder: { points: ['bind'] },
};

/** The default profile: names in order, with the weights of those that score. */
export const defaultPluginSet: readonly { readonly name: string; readonly weight?: number }[] = [
  { name: 'SchedulingGates' },
  { name: 'PrioritySort' },
  { name: 'NodeUnschedulable' },
  { name: 'NodeName' },
  { name: 'TaintToleration', weight: 3 },
  { name: 'NodeAffinity', weight: 2 },
  { name: 'NodePorts' },
  { name: 'NodeResourcesFit', weight: 1 },
  { name: 'VolumeRestrictions' },
  { name: 'VolumeBinding' },
  { name: 'VolumeZone' },
  { name: 'PodTopologySpread', weight: 2 },
  { name: 'InterPodAffinity', weight: 2 },
  { name: 'DynamicResources', weight: 2 },
  { name: 'DefaultPreemption' },
  { name: 'NodeResourcesBalancedAllocation', weight: 1 },
  { name: 'ImageLocality', weight: 1 },
  { name: 'DefaultBinder' },
];
