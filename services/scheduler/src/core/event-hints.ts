import type { KubeObject } from '@pilothouse/apimachinery';
import { deepEqual } from '@pilothouse/apimachinery';
import type { ClusterEvent } from './framework.ts';
import { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { podInfoOf } from './pod-info.ts';

/** A node as an event shows it, without its pods. */
export function nodeOf(object: KubeObject): NodeInfo {
  const info = new NodeInfo(object.metadata.name ?? '');
  info.setNode(object);
  return info;
}

/** True when the node did not satisfy `holds` before the event (or was not there) and does now. */
export function nodeBecame(event: ClusterEvent, holds: (node: NodeInfo) => boolean): boolean {
  if (event.resource !== 'Node' || event.object === undefined || !holds(nodeOf(event.object))) return false;
  return event.old === undefined || !holds(nodeOf(event.old));
}

/** A node that is new, or whose labels or taints are: everything that depends on where nodes lie may change. */
export function nodeMoved(event: ClusterEvent): boolean {
  if (event.resource !== 'Node' || event.object === undefined) return false;
  if (event.old === undefined) return true;
  const now = event.object['spec'] ?? {};
  const before = event.old['spec'] ?? {};
  if (before.unschedulable === true && now.unschedulable !== true) return true;
  return (
    !deepEqual(event.object.metadata.labels, event.old.metadata.labels) ||
    (before.taints?.length ?? 0) > (now.taints?.length ?? 0)
  );
}

/** The same pod, changed itself. */
export function podItselfChanged(pod: PodInfo, event: ClusterEvent): boolean {
  return event.resource === 'UnscheduledPod' && event.object?.metadata.uid === pod.uid;
}

/** A placed pod that went, or gave back some of what `pod` asks for. */
export function freedResources(pod: PodInfo, event: ClusterEvent): boolean {
  if (event.resource !== 'AssignedPod') return false;
  if (event.action === 'delete') return true;
  if (event.object === undefined || event.old === undefined) return false;
  const now = podInfoOf(event.object).requests;
  const before = podInfoOf(event.old).requests;
  if (pod.requests.cpu > 0 && now.cpu < before.cpu) return true;
  if (pod.requests.memory > 0 && now.memory < before.memory) return true;
  if (pod.requests.ephemeralStorage > 0 && now.ephemeralStorage < before.ephemeralStorage) return true;
  for (const name of pod.requests.scalar?.keys() ?? []) {
    if ((now.scalar?.get(name) ?? 0) < (before.scalar?.get(name) ?? 0)) return true;
  }
  return false;
}

/** A placed pod that came, went, or has other labels. */
export function podSetChanged(event: ClusterEvent): boolean {
  if (event.resource !== 'AssignedPod') return false;
  return event.action !== 'update' || !deepEqual(event.object?.metadata.labels, event.old?.metadata.labels);
}
