import type { KubeObject } from '@pilothouse/apimachinery';
import { labelSelectorOf, nodeTermMatches, quantityValue } from '@pilothouse/apimachinery';
import { nodeMoved } from '../event-hints.ts';
import type { Cycle, Plugin } from '../framework.ts';
import { refuse } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';

const name = 'VolumeBinding';
const noProvisioner = 'kubernetes.io/no-provisioner';
export const selectedNodeAnnotation = 'volume.kubernetes.io/selected-node';
const bindCompleted = 'pv.kubernetes.io/bind-completed';

/** Names of the claims a pod mounts, those of its ephemeral volumes too. */
export function claimNames(pod: PodInfo): string[] {
  const names: string[] = [];
  for (const volume of pod.pod['spec']?.volumes ?? []) {
    if (volume.persistentVolumeClaim?.claimName !== undefined)
      names.push(volume.persistentVolumeClaim.claimName);
    else if (volume.ephemeral !== undefined) names.push(`${pod.name}-${volume.name}`);
  }
  return names;
}

function isBound(claim: KubeObject): boolean {
  return (
    (claim['spec']?.volumeName ?? '') !== '' && claim.metadata.annotations?.[bindCompleted] !== undefined
  );
}

interface State {
  /** Claims bound already, with their volumes. */
  readonly bound: readonly { claim: KubeObject; volume: KubeObject | undefined }[];
  /** Claims that wait for a node. */
  readonly waiting: readonly KubeObject[];
}

/** What has to be written before a pod with waiting claims can be bound. */
export interface VolumeDecision {
  readonly claim: KubeObject;
  /** The volume to bind; undefined: the provisioner makes one on the node. */
  readonly volume: KubeObject | undefined;
}

function volumeFitsNode(volume: KubeObject, node: NodeInfo): boolean {
  const terms = volume['spec']?.nodeAffinity?.required?.nodeSelectorTerms;
  return terms === undefined || terms.some((term: object) => nodeTermMatches(term, node.labels, node.name));
}

function volumeSuits(volume: KubeObject, claim: KubeObject): boolean {
  const spec = volume['spec'] ?? {};
  const wanted = claim['spec'] ?? {};
  const owner = spec.claimRef;
  if (owner !== undefined && owner !== null) {
    if (owner.name !== claim.metadata.name || owner.namespace !== claim.metadata.namespace) return false;
    if ((owner.uid ?? '') !== '' && owner.uid !== claim.metadata.uid) return false;
  } else if (volume['status']?.phase !== undefined && volume['status'].phase !== 'Available') return false;
  if ((spec.storageClassName ?? '') !== (wanted.storageClassName ?? '')) return false;
  if ((spec.volumeMode ?? 'Filesystem') !== (wanted.volumeMode ?? 'Filesystem')) return false;
  if (!(wanted.accessModes ?? []).every((mode: string) => (spec.accessModes ?? []).includes(mode)))
    return false;
  if (
    quantityValue(spec.capacity?.storage ?? '0') < quantityValue(wanted.resources?.requests?.storage ?? '0')
  )
    return false;
  if (
    wanted.selector !== undefined &&
    wanted.selector !== null &&
    !labelSelectorOf(wanted.selector).matches(volume.metadata.labels)
  )
    return false;
  return volume.metadata.deletionTimestamp === undefined;
}

/** Finds volumes for the waiting claims on a node, smallest first; undefined when one has none and cannot be provisioned. */
export function decideVolumes(cycle: Cycle, node: NodeInfo): readonly VolumeDecision[] | undefined {
  const state = cycle.state.get(name) as State | undefined;
  const decisions: VolumeDecision[] = [];
  const taken = new Set<string>();
  for (const claim of state?.waiting ?? []) {
    const candidates = cycle.cluster
      .volumes()
      .filter(
        (volume) =>
          !taken.has(volume.metadata.name ?? '') &&
          volumeSuits(volume, claim) &&
          volumeFitsNode(volume, node),
      )
      .sort(
        (a, b) =>
          quantityValue(a['spec']?.capacity?.storage ?? '0') -
          quantityValue(b['spec']?.capacity?.storage ?? '0'),
      );
    const [volume] = candidates;
    if (volume !== undefined) taken.add(volume.metadata.name ?? '');
    else {
      const storageClass = cycle.cluster.storageClass(claim['spec']?.storageClassName ?? '');
      if (storageClass === undefined || storageClass['provisioner'] === noProvisioner) return undefined;
      const terms = (storageClass['allowedTopologies'] ?? []) as {
        matchLabelExpressions?: { key: string; values: string[] }[];
      }[];
      const allowed =
        terms.length === 0 ||
        terms.some((term) =>
          (term.matchLabelExpressions ?? []).every(({ key, values }) =>
            values.includes(node.labels[key] ?? ''),
          ),
        );
      if (!allowed) return undefined;
    }
    decisions.push({ claim, volume });
  }
  return decisions;
}

export const volumeBinding: Plugin = {
  name,
  preFilter: (cycle) => {
    const { pod, cluster } = cycle;
    const names = claimNames(pod);
    if (names.length === 0) return { skip: true };
    const bound: { claim: KubeObject; volume: KubeObject | undefined }[] = [];
    const waiting: KubeObject[] = [];
    let unbound = false;
    for (const claimName of names) {
      const claim = cluster.claim(pod.namespace, claimName);
      const refuseAll = (text: string) => ({ status: refuse(name, 'unschedulableAndUnresolvable', text) });
      if (claim === undefined) return refuseAll(`persistentvolumeclaim "${claimName}" not found`);
      if (claim['status']?.phase === 'Lost')
        return refuseAll(
          `persistentvolumeclaim "${claimName}" bound to non-existent persistentvolume "${claim['spec']?.volumeName ?? ''}"`,
        );
      if (claim.metadata.deletionTimestamp !== undefined)
        return refuseAll(`persistentvolumeclaim "${claimName}" is being deleted`);
      if (isBound(claim)) {
        bound.push({ claim, volume: cluster.volume(claim['spec']?.volumeName ?? '') });
        continue;
      }
      const storageClass = cluster.storageClass(claim['spec']?.storageClassName ?? '');
      if (storageClass?.['volumeBindingMode'] === 'WaitForFirstConsumer') waiting.push(claim);
      else unbound = true;
    }
    if (unbound)
      return {
        status: refuse(
          name,
          'unschedulableAndUnresolvable',
          'pod has unbound immediate PersistentVolumeClaims',
        ),
      };
    const state: State = { bound, waiting };
    cycle.state.set(name, state);
    return undefined;
  },
  filter: (cycle, node) => {
    const state = cycle.state.get(name) as State;
    for (const { volume } of state.bound) {
      if (volume === undefined) {
        return refuse(
          name,
          'unschedulableAndUnresolvable',
          'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
        );
      }
      if (!volumeFitsNode(volume, node)) {
        return refuse(
          name,
          'unschedulableAndUnresolvable',
          "node(s) didn't match PersistentVolume's node affinity",
        );
      }
    }
    if (state.waiting.length > 0 && decideVolumes(cycle, node) === undefined) {
      return refuse(
        name,
        'unschedulableAndUnresolvable',
        "node(s) didn't find available persistent volumes to bind",
      );
    }
    return undefined;
  },
  mayHelp: (_pod, event) =>
    nodeMoved(event) ||
    (['PersistentVolume', 'PersistentVolumeClaim', 'StorageClass'].includes(event.resource) &&
      event.action !== 'delete'),
};

/** A claim for one pod alone (ReadWriteOncePod) is not shared. */
export const volumeRestrictions: Plugin = {
  name: 'VolumeRestrictions',
  preFilter: ({ pod, cluster }) => {
    const exclusive = claimNames(pod).filter((claimName) =>
      (cluster.claim(pod.namespace, claimName)?.['spec']?.accessModes ?? []).includes('ReadWriteOncePod'),
    );
    return exclusive.length === 0 ? { skip: true } : undefined;
  },
  filter: (cycle, node) => {
    const { pod, cluster } = cycle;
    for (const claimName of claimNames(pod)) {
      if (
        !(cluster.claim(pod.namespace, claimName)?.['spec']?.accessModes ?? []).includes('ReadWriteOncePod')
      )
        continue;
      const users = cluster.claimUsers(pod.namespace, claimName).filter((user) => user.uid !== pod.uid);
      if (
        users.some(
          (user) =>
            cycle.nodes.some((each) => each.name !== node.name && each.pods.has(user.uid)) ||
            node.pods.has(user.uid),
        )
      ) {
        return refuse(
          'VolumeRestrictions',
          'unschedulable',
          'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
        );
      }
    }
    return undefined;
  },
  mayHelp: (_pod, event) =>
    (event.resource === 'AssignedPod' && event.action === 'delete') ||
    event.resource === 'PersistentVolumeClaim',
};
