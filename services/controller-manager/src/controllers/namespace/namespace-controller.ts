import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason, StatusError } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { ReconcileResult, ResourceRef } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import type { Condition } from '../../common/conditions.ts';
import { findCondition, setCondition } from '../../common/conditions.ts';
import { discoverResources } from '../../common/discovery.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

interface Remains {
  readonly discoveryErrors: string[];
  readonly deletionErrors: string[];
  /** Objects left, by `resource.group`. */
  readonly counts: Map<string, number>;
  readonly finalizers: Map<string, number>;
}

const texts: Record<string, { ok: [reason: string, message: string]; bad: string }> = {
  NamespaceDeletionDiscoveryFailure: {
    ok: ['ResourcesDiscovered', 'All resources successfully discovered'],
    bad: 'DiscoveryFailed',
  },
  NamespaceDeletionGroupVersionParsingFailure: {
    ok: ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    bad: 'GroupVersionParsingFailed',
  },
  NamespaceDeletionContentFailure: {
    ok: ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    bad: 'ContentDeletionFailed',
  },
  NamespaceContentRemaining: {
    ok: ['ContentRemoved', 'All content successfully removed'],
    bad: 'SomeResourcesRemain',
  },
  NamespaceFinalizersRemaining: {
    ok: ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    bad: 'SomeFinalizersRemain',
  },
};

/** Empties namespaces that are being deleted, resource by resource as discovery lists them, then lets them go. */
class NamespaceController {
  readonly #context: ControllerContext;
  readonly #namespaces;
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#namespaces = context.informers.informer(resources.namespaces);
    this.loop = new Controller({ ...loopOptions(context), workers: 10 }, (key) => this.#sync(key));
    const enqueue = (namespace: KubeObject): void => {
      // A moment's wait lets late writes of clients that have not seen the deletion arrive before the sweep.
      if (namespace.metadata.deletionTimestamp !== undefined)
        this.loop.queue.addAfter(objectKey(namespace), 100);
    };
    this.#namespaces.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const { client } = this.#context;
    let namespace = this.#namespaces.lister.getByKey(key);
    if (!namespace || namespace.metadata.deletionTimestamp === undefined) return;
    if (namespace['status']?.phase !== 'Terminating') {
      namespace = await client.update(
        resources.namespaces,
        { ...namespace, status: { ...namespace['status'], phase: 'Terminating' } },
        { subresource: 'status' },
      );
    }
    const finalizers = (namespace['spec']?.finalizers ?? []) as string[];
    if (finalizers.length === 0) return;
    const remains = await this.#deleteContent(key);
    await this.#writeConditions(namespace, remains);
    if (remains.deletionErrors.length > 0) throw new Error(remains.deletionErrors[0]);
    const left = [...remains.counts.values()].reduce((total, count) => total + count, 0);
    if (left > 0 || remains.discoveryErrors.length > 0) return { requeueAfterMs: left > 0 ? 500 : 5_000 };
    await client.raw('PUT', `/api/v1/namespaces/${key}/finalize`, {
      ...(await client.get(resources.namespaces, key)),
      spec: { finalizers: finalizers.filter((each) => each !== 'kubernetes') },
    });
  }

  async #deleteContent(namespace: string): Promise<Remains> {
    const { client } = this.#context;
    const remains: Remains = {
      discoveryErrors: [],
      deletionErrors: [],
      counts: new Map(),
      finalizers: new Map(),
    };
    const { resources: found, errors } = await discoverResources(client);
    remains.discoveryErrors.push(...errors);
    const deletable = found.filter(
      (each) => each.namespaced && each.verbs.includes('delete') && each.verbs.includes('list'),
    );
    const empty = async ({ ref, verbs }: (typeof deletable)[number]): Promise<void> => {
      try {
        await this.#empty(ref, namespace, verbs.includes('deletecollection'), remains);
      } catch (error) {
        if (error instanceof StatusError && (error.httpCode === 404 || error.httpCode === 405)) return;
        remains.deletionErrors.push(errorMessage(error));
      }
    };
    // Pods go first: while one is there, it may need what else is in the namespace.
    const isPods = ({ ref }: (typeof deletable)[number]): boolean =>
      ref.group === '' && ref.resource === 'pods';
    await Promise.all(deletable.filter(isPods).map(empty));
    if (remains.counts.size > 0) return remains;
    await Promise.all(deletable.filter((each) => !isPods(each)).map(empty));
    return remains;
  }

  async #empty(ref: ResourceRef, namespace: string, collection: boolean, remains: Remains): Promise<void> {
    const { client } = this.#context;
    const before = await client.list(ref, { namespace });
    if (before.items.length === 0) return;
    if (collection) await client.deleteCollection(ref, { namespace, propagationPolicy: 'Background' });
    else {
      for (const item of before.items) {
        await client
          .delete(ref, item.metadata.name ?? '', { namespace, propagationPolicy: 'Background' })
          .catch((error: unknown) => {
            if (!hasReason(error, 'NotFound')) throw error;
          });
      }
    }
    const after = await client.list(ref, { namespace });
    if (after.items.length === 0) return;
    remains.counts.set(
      ref.group === '' ? `${ref.resource}.` : `${ref.resource}.${ref.group}`,
      after.items.length,
    );
    for (const item of after.items)
      for (const finalizer of item.metadata.finalizers ?? [])
        remains.finalizers.set(finalizer, (remains.finalizers.get(finalizer) ?? 0) + 1);
  }

  async #writeConditions(namespace: KubeObject, remains: Remains): Promise<void> {
    const now = secondTime(this.#context.clock.now());
    const sorted = (map: ReadonlyMap<string, number>): [string, number][] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    const problems: Record<string, string> = {
      NamespaceDeletionDiscoveryFailure:
        remains.discoveryErrors.length === 0
          ? ''
          : `Discovery failed for some groups, ${remains.discoveryErrors.length} failing: ${remains.discoveryErrors.join(', ')}`,
      NamespaceDeletionGroupVersionParsingFailure: '',
      NamespaceDeletionContentFailure:
        remains.deletionErrors.length === 0
          ? ''
          : `Failed to delete all resource types, ${remains.deletionErrors.length} remaining: ${[...remains.deletionErrors].sort().join(', ')}`,
      NamespaceContentRemaining:
        remains.counts.size === 0
          ? ''
          : `Some resources are remaining: ${sorted(remains.counts)
              .map(([name, count]) => `${name} has ${count} resource instances`)
              .join(', ')}`,
      NamespaceFinalizersRemaining:
        remains.finalizers.size === 0
          ? ''
          : `Some content in the namespace has finalizers remaining: ${sorted(remains.finalizers)
              .map(([name, count]) => `${name} in ${count} resource instances`)
              .join(', ')}`,
    };
    let conditions = (namespace['status']?.conditions ?? []) as Condition[];
    for (const [type, message] of Object.entries(problems)) {
      const text = texts[type] as { ok: [string, string]; bad: string };
      const wanted =
        message === ''
          ? { type, status: 'False', reason: text.ok[0], message: text.ok[1], lastTransitionTime: now }
          : { type, status: 'True', reason: text.bad, message, lastTransitionTime: now };
      if (findCondition(conditions, type)?.message !== wanted.message)
        conditions = setCondition(conditions, wanted);
    }
    if (canonical(conditions) === canonical(namespace['status']?.conditions ?? [])) return;
    await this.#context.client
      .update(
        resources.namespaces,
        { ...namespace, status: { ...namespace['status'], conditions } },
        { subresource: 'status' },
      )
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
      });
  }
}

export const createNamespaceController: ControllerFactory = (context) =>
  new NamespaceController(context).loop;
