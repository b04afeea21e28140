import type { KubeObject, OwnerReference } from '@pilothouse/apimachinery';
import type { ResourceRef } from '@pilothouse/client';

/** An object of the ownership graph. Known by uid alone: names are reused. */
export interface GraphNode {
  readonly uid: string;
  ref: ResourceRef | undefined;
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  owners: readonly OwnerReference[];
  readonly dependents: Set<GraphNode>;
  /** deletionTimestamp is set. */
  isDeleting: boolean;
  /** Deleting in the foreground: waits for its dependents. */
  isDeletingDependents: boolean;
  /** Known only from an owner reference: whether it exists has yet to be asked. */
  isVirtual: boolean;
}

/** What a change of the graph asks to be looked at. */
export interface GraphEffects {
  readonly attemptToDelete: GraphNode[];
  readonly attemptToOrphan: GraphNode[];
}

const foregroundFinalizer = 'foregroundDeletion';
const orphanFinalizer = 'orphan';

export function hasFinalizer(
  object: KubeObject,
  finalizer: typeof foregroundFinalizer | typeof orphanFinalizer,
): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false;
}

/**
 * Who owns whom, kept from watch events. Pure: each change answers with what to do next. Owners that no watch has shown yet are
 * virtual nodes; they are asked for before anything is deleted on their account.
 */
export class OwnershipGraph {
  readonly #nodes = new Map<string, GraphNode>();
  /** Owners that the API said do not exist; bounded. */
  readonly #absent = new Set<string>();

  node(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  isAbsent(uid: string): boolean {
    return this.#absent.has(uid);
  }

  markAbsent(uid: string): void {
    if (this.#absent.size >= 10_000) this.#absent.clear();
    this.#absent.add(uid);
  }

  upsert(ref: ResourceRef, object: KubeObject): GraphEffects {
    const effects: GraphEffects = { attemptToDelete: [], attemptToOrphan: [] };
    const uid = object.metadata.uid ?? '';
    const owners = object.metadata.ownerReferences ?? [];
    this.#absent.delete(uid);
    let node = this.#nodes.get(uid);
    const wasNew = node === undefined || node.isVirtual;
    const oldOwners = node?.owners ?? [];
    const wasDeleting = node?.isDeleting ?? false;
    const wasDeletingDependents = node?.isDeletingDependents ?? false;
    if (!node) this.#nodes.set(uid, (node = emptyNode(uid)));
    node.ref = ref;
    node.apiVersion = object.apiVersion ?? node.apiVersion;
    node.kind = object.kind ?? node.kind;
    node.namespace = object.metadata.namespace ?? '';
    node.name = object.metadata.name ?? '';
    node.isVirtual = false;
    node.isDeleting = object.metadata.deletionTimestamp !== undefined;
    node.isDeletingDependents = node.isDeleting && hasFinalizer(object, foregroundFinalizer);

    const removed = oldOwners.filter((old) => !owners.some((each) => each.uid === old.uid));
    const added = owners.filter((each) => !oldOwners.some((old) => old.uid === each.uid));
    node.owners = owners;
    for (const owner of removed) this.#nodes.get(owner.uid)?.dependents.delete(node);
    for (const reference of added) {
      let owner = this.#nodes.get(reference.uid);
      if (!owner) {
        owner = {
          ...emptyNode(reference.uid),
          apiVersion: reference.apiVersion,
          kind: reference.kind,
          name: reference.name,
          namespace: node.namespace,
          isVirtual: true,
        };
        this.#nodes.set(reference.uid, owner);
        effects.attemptToDelete.push(owner);
      }
      owner.dependents.add(node);
    }
    // An owner that waits for its dependents may go on when one of them stops blocking it.
    for (const old of oldOwners) {
      const still = owners.find((each) => each.uid === old.uid);
      const unblocked = old.blockOwnerDeletion === true && still?.blockOwnerDeletion !== true;
      const owner = this.#nodes.get(old.uid);
      if (unblocked && owner?.isDeletingDependents) effects.attemptToDelete.push(owner);
    }
    if (node.isDeleting && (!wasDeleting || wasNew) && hasFinalizer(object, orphanFinalizer))
      effects.attemptToOrphan.push(node);
    if (node.isDeletingDependents && (!wasDeletingDependents || wasNew)) {
      effects.attemptToDelete.push(...node.dependents, node);
    }
    if (owners.length > 0 && (wasNew || added.length > 0 || removed.length > 0))
      effects.attemptToDelete.push(node);
    return effects;
  }

  remove(uid: string): GraphEffects {
    const effects: GraphEffects = { attemptToDelete: [], attemptToOrphan: [] };
    const node = this.#nodes.get(uid);
    if (!node) return effects;
    this.#nodes.delete(uid);
    this.markAbsent(uid);
    for (const reference of node.owners) {
      const owner = this.#nodes.get(reference.uid);
      if (!owner) continue;
      owner.dependents.delete(node);
      if (owner.isDeletingDependents) effects.attemptToDelete.push(owner);
      else if (owner.isVirtual && owner.dependents.size === 0) this.#nodes.delete(owner.uid);
    }
    effects.attemptToDelete.push(...node.dependents);
    return effects;
  }

  /** Dependents that keep a foreground deletion waiting. */
  blockingDependents(owner: GraphNode): GraphNode[] {
    return [...owner.dependents].filter((each) =>
      each.owners.some((reference) => reference.uid === owner.uid && reference.blockOwnerDeletion === true),
    );
  }
}

function emptyNode(uid: string): GraphNode {
  return {
    uid,
    ref: undefined,
    apiVersion: '',
    kind: '',
    namespace: '',
    name: '',
    owners: [],
    dependents: new Set(),
    isDeleting: false,
    isDeletingDependents: false,
    isVirtual: false,
  };
}
