import type { Plugin } from './framework.ts';
import { dynamicResources } from './plugins/dynamic-resources.ts';
import { interPodAffinity } from './plugins/inter-pod-affinity.ts';
import {
  imageLocality,
  nodeAffinity,
  nodeName,
  nodePorts,
  nodeUnschedulable,
  schedulingGates,
  taintToleration,
} from './plugins/node-plugins.ts';
import { balancedAllocation, nodeResourcesFit } from './plugins/node-resources.ts';
import { podTopologySpread } from './plugins/pod-topology-spread.ts';
import { volumeBinding, volumeRestrictions } from './plugins/volumes.ts';

/** The plugins of the default profile, in the order they run. */
export const defaultPlugins: readonly Plugin[] = [
  schedulingGates,
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  volumeRestrictions,
  volumeBinding,
  dynamicResources,
  podTopologySpread,
  interPodAffinity,
  balancedAllocation,
  imageLocality,
];
