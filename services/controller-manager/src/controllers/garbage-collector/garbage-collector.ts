import type { KubeObject, OwnerReference } from '@pilothouse/apimachinery';
import { hasReason, parseApiVersion, StatusError } from '@pilothouse/apimachinery';
import type { Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { ResourceRef } from '@pilothouse/client';
import { Controller, Informer } from '@pilothouse/client';
import type { DiscoveredResource } from '../../common/discovery.ts';
import { discoverResources } from '../../common/discovery.ts';
import type { ControllerContext, ControllerFactory, ControlLoop } from '../../context.ts';
import type { GraphEffects, GraphNode } from './graph.ts';
import { hasFinalizer, OwnershipGraph } from './graph.ts';

const discoveryPeriodMs = 5_000;
/** Too many, too short-lived, and never owners or owned. */
const ignored = new Set(['/events', 'events.k8s.io/events']);

const resourceKey = (ref: ResourceRef): string => `${ref.group}/${ref.resource}`;

/**
 * Deletes objects whose owners are gone, carries out foreground and orphan deletion. It watches the metadata of everything that can
 * be deleted, custom resources included, and asks the API before each deletion: the graph only tells where to look.
 */
class GarbageCollector implements ControlLoop {
  readonly #context: ControllerContext;
  readonly #graph = new OwnershipGraph();
  readonly #informers = new Map<string, Informer>();
  #kinds = new Map<string, DiscoveredResource>();
  readonly #delete: Controller;
  readonly #orphan: Controller;
  #timer: Timer | undefined;
  #discovering: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { clock, logger } = context;
    const options = {
      clock,
      logger,
      observe: context.observe,
      workers: 20,
      baseDelayMs: 20,
      maxDelayMs: 30_000,
    };
    this.#delete = new Controller({ name: `${context.name}/delete`, ...options }, (uid) =>
      this.#attemptToDelete(uid),
    );
    this.#orphan = new Controller({ name: `${context.name}/orphan`, ...options }, (uid) =>
      this.#attemptToOrphan(uid),
    );
  }

  start(): void {
    const discover = (): void => {
      this.#discovering = this.#discovering
        .then(() => this.#discover())
        .catch((error: unknown) =>
          this.#context.logger.warn('Discovery failed', { error: errorMessage(error) }),
        );
    };
    discover();
    this.#timer = this.#context.clock.setInterval(discover, discoveryPeriodMs);
    this.#delete.start();
    this.#orphan.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#discovering;
    await Promise.all([
      this.#delete.stop(),
      this.#orphan.stop(),
      ...[...this.#informers.values()].map((informer) => informer.stop()),
    ]);
  }

  /** Follows what can be deleted: watches new resources, forgets those that are no longer served. */
  async #discover(): Promise<void> {
    const { resources, errors } = await discoverResources(this.#context.client);
    if (this.#stopped) return;
    this.#kinds = new Map(resources.map((each) => [`${each.ref.group}/${each.kind}`, each]));
    const wanted = resources.filter(
      (each) =>
        ['delete', 'list', 'watch'].every((verb) => each.verbs.includes(verb)) &&
        !ignored.has(resourceKey(each.ref)),
    );
    const names = new Set(wanted.map((each) => resourceKey(each.ref)));
    for (const { ref } of wanted) {
      if (!this.#informers.has(resourceKey(ref))) this.#watch(ref);
    }
    // A group that did not answer this time is not gone.
    if (errors.length > 0) return;
    for (const [key, informer] of this.#informers) {
      if (names.has(key)) continue;
      this.#informers.delete(key);
      for (const object of informer.lister.list())
        this.#enqueue(this.#graph.remove(object.metadata.uid ?? ''));
      await informer.stop();
    }
  }

  #watch(ref: ResourceRef): void {
    const { client, clock, random, logger } = this.#context;
    const informer = new Informer(ref, { metadataOnly: true }, { client, clock, random, logger });
    const kind =
      [...this.#kinds.values()].find((each) => resourceKey(each.ref) === resourceKey(ref))?.kind ?? '';
    const apiVersion = ref.group === '' ? ref.version : `${ref.group}/${ref.version}`;
    const upsert = (object: KubeObject): void =>
      this.#enqueue(this.#graph.upsert(ref, { ...object, apiVersion, kind }));
    informer.addHandler({
      onAdd: upsert,
      onUpdate: upsert,
      onDelete: (object) => this.#enqueue(this.#graph.remove(object.metadata.uid ?? '')),
    });
    this.#informers.set(resourceKey(ref), informer);
    informer.start();
  }

  #enqueue(effects: GraphEffects): void {
    for (const node of effects.attemptToDelete) this.#delete.queue.add(node.uid);
    for (const node of effects.attemptToOrphan) this.#orphan.queue.add(node.uid);
  }

  #refOf(node: GraphNode | OwnerReference): DiscoveredResource | undefined {
    const parsed = parseApiVersion(node.apiVersion);
    const found = parsed && this.#kinds.get(`${parsed.group}/${node.kind}`);
    return found && parsed && { ...found, ref: { ...found.ref, version: parsed.version } };
  }

  /** The object as the API has it now, metadata is all that is used; undefined when it is gone or another has its name. */
  async #live(ref: ResourceRef, node: GraphNode): Promise<KubeObject | undefined> {
    try {
      const object = await this.#context.client.get(ref, node.name, { namespace: node.namespace });
      return object.metadata.uid === node.uid ? object : undefined;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async #attemptToDelete(uid: string): Promise<void> {
    const node = this.#graph.node(uid);
    if (!node) return;
    if (node.isVirtual) {
      await this.#resolveVirtual(node);
      return;
    }
    const { ref } = node;
    if (!ref || (node.isDeleting && !node.isDeletingDependents)) return;
    const live = await this.#live(ref, node);
    if (!live) {
      this.#enqueue(this.#graph.remove(uid));
      return;
    }
    if (node.isDeletingDependents) {
      await this.#finishForeground(ref, node, live);
      return;
    }
    const owners = live.metadata.ownerReferences ?? [];
    if (owners.length === 0) return;
    const solid: OwnerReference[] = [];
    const dangling: OwnerReference[] = [];
    const waiting: OwnerReference[] = [];
    for (const owner of owners) (await this.#classify(owner, node, { solid, dangling, waiting })).push(owner);
    if (solid.length > 0) {
      const gone = [...dangling, ...waiting];
      if (gone.length > 0)
        await this.#removeOwners(
          ref,
          node,
          live,
          gone.map((each) => each.uid),
        );
      return;
    }
    if (waiting.length > 0 && node.dependents.size > 0) {
      for (const dependent of node.dependents) {
        // Two objects in foreground deletion that block each other would wait for ever.
        if (dependent.isDeletingDependents) await this.#unblock(ref, node, live);
      }
      await this.#deleteObject(ref, node, 'Foreground');
      return;
    }
    const policy = hasFinalizer(live, 'orphan')
      ? 'Orphan'
      : hasFinalizer(live, 'foregroundDeletion')
        ? 'Foreground'
        : 'Background';
    await this.#deleteObject(ref, node, policy);
  }

  async #classify(
    owner: OwnerReference,
    dependent: GraphNode,
    into: { solid: OwnerReference[]; dangling: OwnerReference[]; waiting: OwnerReference[] },
  ): Promise<OwnerReference[]> {
    if (this.#graph.isAbsent(owner.uid)) return into.dangling;
    const known = this.#graph.node(owner.uid);
    if (known && !known.isVirtual && known.namespace !== '' && known.namespace !== dependent.namespace)
      return into.dangling;
    const resource = this.#refOf(owner);
    if (!resource) {
      // A kind that is not served (yet): deleting on that account could destroy what belongs to somebody.
      throw new Error(`Unable to find a resource for owner kind "${owner.apiVersion}, Kind=${owner.kind}"`);
    }
    if (resource.namespaced && dependent.namespace === '') {
      this.#context.recorder.event(
        {
          apiVersion: dependent.apiVersion,
          kind: dependent.kind,
          metadata: { name: dependent.name, uid: dependent.uid },
        },
        'Warning',
        'OwnerRefInvalidNamespace',
        `ownerRef [${owner.apiVersion}/${owner.kind}, namespace: , name: ${owner.name}, uid: ${owner.uid}] does not exist in namespace ""`,
      );
      return into.solid;
    }
    const namespace = resource.namespaced ? dependent.namespace : '';
    let live: KubeObject;
    try {
      live = await this.#context.client.get(resource.ref, owner.name, { namespace });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      this.#graph.markAbsent(owner.uid);
      return into.dangling;
    }
    if (live.metadata.uid !== owner.uid) {
      this.#graph.markAbsent(owner.uid);
      return into.dangling;
    }
    return live.metadata.deletionTimestamp !== undefined && hasFinalizer(live, 'foregroundDeletion')
      ? into.waiting
      : into.solid;
  }

  /** An owner that no watch has shown: when the API does not know it either, its dependents are looked at. */
  async #resolveVirtual(node: GraphNode): Promise<void> {
    const resource = this.#refOf(node);
    if (!resource)
      throw new Error(`Unable to find a resource for owner kind "${node.apiVersion}, Kind=${node.kind}"`);
    const live = await this.#live(resource.ref, {
      ...node,
      namespace: resource.namespaced ? node.namespace : '',
    });
    if (!live) this.#enqueue(this.#graph.remove(node.uid));
  }

  async #finishForeground(ref: ResourceRef, node: GraphNode, live: KubeObject): Promise<void> {
    const blocking = this.#graph.blockingDependents(node);
    if (blocking.length === 0) {
      await this.#removeFinalizer(ref, node, live, 'foregroundDeletion');
      return;
    }
    for (const dependent of blocking)
      if (!dependent.isDeletingDependents) this.#delete.queue.add(dependent.uid);
  }

  async #attemptToOrphan(uid: string): Promise<void> {
    const node = this.#graph.node(uid);
    if (!node?.ref) return;
    for (const dependent of node.dependents) {
      if (!dependent.ref) continue;
      const live = await this.#live(dependent.ref, dependent);
      if (live) await this.#removeOwners(dependent.ref, dependent, live, [uid]);
    }
    const live = await this.#live(node.ref, node);
    if (live) await this.#removeFinalizer(node.ref, node, live, 'orphan');
  }

  async #removeOwners(
    ref: ResourceRef,
    node: GraphNode,
    live: KubeObject,
    uids: readonly string[],
  ): Promise<void> {
    const ownerReferences = (live.metadata.ownerReferences ?? []).filter((each) => !uids.includes(each.uid));
    await this.#patchMeta(ref, node, live, {
      ownerReferences: ownerReferences.length === 0 ? null : ownerReferences,
    });
  }

  async #unblock(ref: ResourceRef, node: GraphNode, live: KubeObject): Promise<void> {
    const ownerReferences = (live.metadata.ownerReferences ?? []).map((each) => ({
      ...each,
      blockOwnerDeletion: false,
    }));
    await this.#patchMeta(ref, node, live, { ownerReferences });
  }

  async #removeFinalizer(
    ref: ResourceRef,
    node: GraphNode,
    live: KubeObject,
    finalizer: string,
  ): Promise<void> {
    const finalizers = (live.metadata.finalizers ?? []).filter((each) => each !== finalizer);
    await this.#patchMeta(ref, node, live, { finalizers: finalizers.length === 0 ? null : finalizers });
  }

  /** A JSON merge patch works for every kind; the resourceVersion makes a race a conflict, which is repeated from a fresh read. */
  async #patchMeta(
    ref: ResourceRef,
    node: GraphNode,
    live: KubeObject,
    metadata: Record<string, unknown>,
  ): Promise<void> {
    try {
      await this.#context.client.patch(
        ref,
        node.name,
        { metadata: { uid: node.uid, resourceVersion: live.metadata.resourceVersion, ...metadata } },
        { type: 'merge', namespace: node.namespace },
      );
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }

  async #deleteObject(
    ref: ResourceRef,
    node: GraphNode,
    propagationPolicy: 'Background' | 'Foreground' | 'Orphan',
  ): Promise<void> {
    try {
      await this.#context.client.delete(ref, node.name, {
        namespace: node.namespace,
        propagationPolicy,
        preconditions: { uid: node.uid },
      });
    } catch (error) {
      if (hasReason(error, 'NotFound') || (error instanceof StatusError && error.httpCode === 409)) return;
      throw error;
    }
  }
}

export const createGarbageCollector: ControllerFactory = (context) => new GarbageCollector(context);
