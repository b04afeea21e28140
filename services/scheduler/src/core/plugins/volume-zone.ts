import { nodeMoved } from '../event-hints.ts';
import type { ClusterView, Plugin } from '../framework.ts';
import { refuse } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import { claimNames } from './volumes.ts';

const name = 'VolumeZone';
/** Labels of volumes that say where they are; each old name with the one that replaced it. */
const currentLabel: Readonly<Record<string, string>> = {
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region': 'topology.kubernetes.io/region',
};
const labels = Object.keys(currentLabel);

interface Place {
  readonly label: string;
  readonly values: ReadonlySet<string>;
}

/** Where the bound volumes of a pod are, as far as they say. */
function placesOf(pod: PodInfo, cluster: ClusterView): readonly Place[] {
  return claimNames(pod).flatMap((claimName) => {
    const volumeName = cluster.claim(pod.namespace, claimName)?.['spec']?.volumeName as string | undefined;
    const volume = volumeName === undefined ? undefined : cluster.volume(volumeName);
    return labels.flatMap((label) => {
      const value = volume?.metadata.labels?.[label];
      // Several zones stand in one label: "a__b".
      return value === undefined || value === '' ? [] : [{ label, values: new Set(value.split('__')) }];
    });
  });
}

function isAt(place: Place, node: NodeInfo): boolean {
  const value = node.labels[place.label] ?? node.labels[currentLabel[place.label] as string];
  return value !== undefined && place.values.has(value);
}

/** Volumes with labels of a zone or region are used on nodes that are there; a node without such labels is anywhere. */
export const volumeZone: Plugin = {
  name,
  preFilter: (cycle) => {
    const places = placesOf(cycle.pod, cycle.cluster);
    if (places.length === 0) return { skip: true };
    cycle.state.set(name, places);
    return undefined;
  },
  filter: (cycle, node) => {
    if (!labels.some((label) => node.labels[label] !== undefined)) return undefined;
    const places = cycle.state.get(name) as readonly Place[];
    if (places.every((place) => isAt(place, node))) return undefined;
    return refuse(name, 'unschedulableAndUnresolvable', 'node(s) had no available volume zone');
  },
  mayHelp: (_pod, event) =>
    nodeMoved(event) ||
    (['PersistentVolume', 'PersistentVolumeClaim', 'StorageClass'].includes(event.resource) &&
      event.action !== 'delete'),
};
