import type { KubeObject } from '@pilothouse/apimachinery';
import { quantityValue } from '@pilothouse/apimachinery';
import type { HostPort, PodInfo } from './pod-info.ts';
import type { Resources } from './resources.ts';
import { addResources, copyResources, emptyResources, parseResources } from './resources.ts';
import type { Taint } from './tolerations.ts';

export type Node = KubeObject;

const noLabels: Readonly<Record<string, string>> = {};

/** A node with the pods on it, summed up. */
export class NodeInfo {
  readonly name: string;
  node: Node | undefined;
  labels: Readonly<Record<string, string>> = noLabels;
  taints: readonly Taint[] = [];
  unschedulable = false;
  allocatable: Resources = emptyResources();
  podsMax = 0;
  /** Image name → bytes. */
  images: ReadonlyMap<string, number> = new Map();
  readonly pods = new Map<string, PodInfo>();
  requested: Resources = emptyResources();
  scoreRequested: Resources = emptyResources();
  withAffinity = 0;
  withRequiredAntiAffinity = 0;
  readonly #ports = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }

  setNode(node: Node): void {
    this.node = node;
    this.labels = node.metadata.labels ?? noLabels;
    const spec = node['spec'] ?? {};
    const status = node['status'] ?? {};
    this.taints = spec.taints ?? [];
    this.unschedulable = spec.unschedulable === true;
    this.allocatable = parseResources(status.allocatable);
    this.podsMax = status.allocatable?.pods === undefined ? 0 : quantityValue(status.allocatable.pods);
    const images = new Map<string, number>();
    for (const image of status.images ?? [])
      for (const name of image.names ?? []) images.set(name, image.sizeBytes ?? 0);
    this.images = images;
  }

  addPod(pod: PodInfo): void {
    if (this.pods.has(pod.uid)) this.removePod(pod.uid);
    this.pods.set(pod.uid, pod);
    this.#count(pod, 1);
  }

  removePod(uid: string): PodInfo | undefined {
    const pod = this.pods.get(uid);
    if (pod === undefined) return undefined;
    this.pods.delete(uid);
    this.#count(pod, -1);
    return pod;
  }

  #count(pod: PodInfo, sign: 1 | -1): void {
    addResources(this.requested, pod.requests, sign);
    addResources(this.scoreRequested, pod.scoreRequests, sign);
    if (
      pod.requiredAffinity.length +
        pod.preferredAffinity.length +
        pod.requiredAntiAffinity.length +
        pod.preferredAntiAffinity.length >
      0
    ) {
      this.withAffinity += sign;
    }
    if (pod.requiredAntiAffinity.length > 0) this.withRequiredAntiAffinity += sign;
    for (const port of pod.hostPorts) {
      const key = `${port.protocol}/${port.port}/${port.ip}`;
      const count = (this.#ports.get(key) ?? 0) + sign;
      if (count <= 0) this.#ports.delete(key);
      else this.#ports.set(key, count);
    }
  }

  /** A port on all addresses collides with the same port on any address. */
  portConflicts(wanted: HostPort): boolean {
    if (this.#ports.size === 0) return false;
    const prefix = `${wanted.protocol}/${wanted.port}/`;
    if (wanted.ip !== '0.0.0.0')
      return this.#ports.has(prefix + wanted.ip) || this.#ports.has(`${prefix}0.0.0.0`);
    for (const key of this.#ports.keys()) if (key.startsWith(prefix)) return true;
    return false;
  }

  /** A copy whose pods may be changed on trial. */
  clone(): NodeInfo {
    const copy = new NodeInfo(this.name);
    copy.node = this.node;
    copy.labels = this.labels;
    copy.taints = this.taints;
    copy.unschedulable = this.unschedulable;
    copy.allocatable = this.allocatable;
    copy.podsMax = this.podsMax;
    copy.images = this.images;
    for (const [uid, pod] of this.pods) copy.pods.set(uid, pod);
    copy.requested = copyResources(this.requested);
    copy.scoreRequested = copyResources(this.scoreRequested);
    copy.withAffinity = this.withAffinity;
    copy.withRequiredAntiAffinity = this.withRequiredAntiAffinity;
    for (const [key, count] of this.#ports) copy.#ports.set(key, count);
    return copy;
  }
}
