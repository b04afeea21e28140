import { NodeInfo } from './node-info.ts';
import type { Node } from './node-info.ts';
import type { Pod, PodInfo } from './pod-info.ts';
import { podInfoOf } from './pod-info.ts';

/**
 * Nodes and the pods on them, as the scheduler believes them to be: what was observed, plus pods it has just placed (assumed) and whose
 * binding is under way. One scheduling cycle runs without interruption, so the cache itself is the cycle's snapshot.
 */
export class SchedulerCache {
  readonly #nodes = new Map<string, NodeInfo>();
  #list: readonly NodeInfo[] | undefined;
  /** uid → node, of every pod counted here. */
  readonly #podNodes = new Map<string, string>();
  readonly #assumed = new Set<string>();

  /** Nodes that exist, in the order they came. */
  nodes(): readonly NodeInfo[] {
    return (this.#list ??= [...this.#nodes.values()].filter((info) => info.node !== undefined));
  }
  node(name: string): NodeInfo | undefined {
    const info = this.#nodes.get(name);
    return info?.node === undefined ? undefined : info;
  }
  get podCount(): number {
    return this.#podNodes.size;
  }
  get assumedCount(): number {
    return this.#assumed.size;
  }

  setNode(node: Node): void {
    const info = this.#entry(node.metadata.name ?? '');
    if (info.node === undefined) this.#list = undefined;
    info.setNode(node);
  }
  /** Pods that are still on it are remembered until they go too. */
  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (info === undefined) return;
    this.#list = undefined;
    info.node = undefined;
    if (info.pods.size === 0) this.#nodes.delete(name);
  }

  #entry(name: string): NodeInfo {
    let info = this.#nodes.get(name);
    if (info === undefined) this.#nodes.set(name, (info = new NodeInfo(name)));
    return info;
  }

  /** An observed pod that has a node. An assumption about it is settled by this. */
  setPod(pod: Pod): void {
    const info = podInfoOf(pod);
    this.#assumed.delete(info.uid);
    this.#place(info, pod['spec']?.nodeName ?? '');
  }
  removePod(uid: string): void {
    this.#assumed.delete(uid);
    const name = this.#podNodes.get(uid);
    if (name === undefined) return;
    this.#podNodes.delete(uid);
    const info = this.#nodes.get(name);
    info?.removePod(uid);
    if (info !== undefined && info.node === undefined && info.pods.size === 0) this.#nodes.delete(name);
  }

  /** Counts a pod on a node before the API knows. */
  assume(pod: PodInfo, nodeName: string): void {
    this.#assumed.add(pod.uid);
    this.#place(pod, nodeName);
  }
  /** Takes an assumption back; without effect once the pod was observed on a node. */
  forget(uid: string): void {
    if (this.#assumed.has(uid)) this.removePod(uid);
  }
  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid);
  }
  has(uid: string): boolean {
    return this.#podNodes.has(uid);
  }

  #place(pod: PodInfo, nodeName: string): void {
    const before = this.#podNodes.get(pod.uid);
    if (before !== undefined && before !== nodeName) this.#nodes.get(before)?.removePod(pod.uid);
    this.#podNodes.set(pod.uid, nodeName);
    this.#entry(nodeName).addPod(pod);
  }
}
