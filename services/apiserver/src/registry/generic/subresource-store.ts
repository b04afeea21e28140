import type { KubeObject } from '@pilothouse/apimachinery';
import type { UpdateHooks } from '@pilothouse/api';
import { deepClone } from '../../storage/deep.ts';
import type {
  AdmissionHooks,
  ResourceDescriptor,
  RestContext,
  RestStorage,
  Stored,
  UpdatedObjectInfo,
  UpdateOptions,
} from '../rest/rest-storage.ts';
import type { GenericStore, UpdatePath } from './store.ts';

/** A subresource that reads and writes a part of its parent object: status, approval, resize and the like. */
export class SubresourceStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly strategy;
  readonly #parent: GenericStore;
  readonly #path: UpdatePath;

  constructor(parent: GenericStore, resource: ResourceDescriptor) {
    this.#parent = parent;
    this.resource = resource;
    const hooks = parent.strategy.subresources?.[resource.subresource] ?? defaultHooks(resource.subresource);
    this.#path = { subresource: resource.subresource, hooks, mayCreate: false };
    this.strategy = { ...parent.strategy, ...hooks };
  }

  get tracker() {
    return this.#parent.tracker;
  }

  defaults(object: KubeObject): void {
    this.#parent.defaults(object);
  }

  get(context: RestContext, name: string, options: { readonly resourceVersion?: string }): Promise<Stored> {
    return this.#parent.get(context, name, options);
  }

  update(
    context: RestContext,
    name: string,
    info: UpdatedObjectInfo,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<{ readonly object: Stored; readonly created: boolean }> {
    return this.#parent.updateThrough(
      this.#path,
      context,
      name,
      info,
      { ...options, forceAllowCreate: false },
      admission,
    );
  }
}

/** Rules of a kind that states none: the subresource's own member may change, everything else but metadata may not. */
function defaultHooks(subresource: string): UpdateHooks {
  if (subresource === 'finalize') return finalizeHooks;
  return {
    prepareForUpdate(object, old) {
      const kept = deepClone(old);
      for (const member of new Set([...Object.keys(object), ...Object.keys(kept)])) {
        if (member === subresource || member === 'metadata' || member === 'apiVersion' || member === 'kind')
          continue;
        if (kept[member] === undefined) delete object[member];
        else object[member] = kept[member];
      }
    },
    resetFields: ['spec'],
  };
}

/** Only spec.finalizers changes (namespaces/finalize). */
const finalizeHooks: UpdateHooks = {
  prepareForUpdate(object, old) {
    const finalizers = (object['spec']?.finalizers ?? []) as string[];
    const kept = deepClone(old);
    for (const member of Object.keys(object)) if (member !== 'metadata') delete object[member];
    Object.assign(object, { ...kept, metadata: object.metadata });
    const { finalizers: _, ...spec } = (kept['spec'] ?? {}) as Record<string, unknown>;
    object['spec'] = finalizers.length === 0 ? spec : { ...spec, finalizers };
  },
};
