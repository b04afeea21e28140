import type { GroupResource, KubeObject, Status } from '@pilothouse/apimachinery';
import { deepClone } from '../../storage/deep.ts';
import { interpretStorageError, isKeyNotFound } from '../../storage/errors.ts';
import { StoredObject } from '../../storage/stored-object.ts';
import type {
  AdmissionHooks,
  DeleteOptions,
  DeleteResult,
  RestContext,
  Stored,
} from '../rest/rest-storage.ts';
import type { WritableStorage } from './dry-run.ts';
import {
  beginDeletion,
  finalizersForGarbageCollection,
  isDeleting,
  markDeleting,
} from './graceful-delete.ts';
import type { GenericStoreOptions } from './store-options.ts';

/** What an update that turns out to end a deletion is told by. */
export class EmptiedFinalizers extends Error {
  readonly object: KubeObject;
  readonly existing: Stored;
  constructor(object: KubeObject, existing: Stored) {
    super('the last finalizer was removed');
    this.object = object;
    this.existing = existing;
  }
}

/** How objects of one resource go: at once, after their grace period, or when their last finalizer is removed. */
export class Deletion {
  readonly #options: GenericStoreOptions;
  readonly #groupResource: GroupResource;
  readonly #dryRun: WritableStorage;

  constructor(options: GenericStoreOptions, dryRun: WritableStorage) {
    this.#options = options;
    this.#groupResource = { group: options.resource.group, resource: options.resource.resource };
    this.#dryRun = dryRun;
  }

  /** Steps of a delete: grace period and finalizers first, then the object. Throws StatusError and the storage's errors. */
  async delete(
    context: RestContext,
    key: string,
    name: string,
    options: DeleteOptions,
    admission: AdmissionHooks,
  ): Promise<DeleteResult> {
    const nowMs = this.#options.services.clock.now();
    const storage = context.dryRun ? this.#dryRun : this.#options.storage;
    this.#options.hooks?.beginDelete?.(name);
    for (const warning of this.#options.hooks?.warningsOnDelete?.(options) ?? []) context.addWarning(warning);
    const first = await storage.get(key, { resourceVersion: '' });
    const start = beginDeletion(deepClone(first.object), this.#options.strategy, options, nowMs);
    if (start.pending) return { object: this.#deleted(first), immediate: false };
    const hadFinalizers = (first.object.metadata.finalizers ?? []).length > 0;
    const collects =
      finalizersForGarbageCollection(first.object, this.#options.strategy, options) !== undefined;
    let validated = false;
    let last: Stored | undefined;
    if (start.graceful || hadFinalizers || collects) {
      const outcome = await this.#markForDeletion(context, storage, key, options, admission);
      if (outcome.kind === 'waits') return { object: outcome.stored, immediate: false };
      if (outcome.kind === 'pending') return { object: this.#deleted(outcome.stored), immediate: false };
      last = outcome.stored;
      validated = true;
      if (context.dryRun) return { object: this.#deleted(last), immediate: true };
    }
    const preconditions = last === undefined ? options.preconditions : withoutRevision(options.preconditions);
    try {
      const gone = await storage.delete(key, preconditions, async (existing) => {
        if (validated && existing.revision === last?.revision) return;
        if (!validated) beginDeletion(deepClone(existing.object), this.#options.strategy, options, nowMs);
        await this.#admitDelete(existing, admission);
      });
      return await this.#finalizeDelete(context, gone);
    } catch (error) {
      // Somebody else completed the deletion that was begun above: the outcome is what was asked for.
      if (last !== undefined && isKeyNotFound(error)) return { object: this.#deleted(last), immediate: true };
      throw error;
    }
  }

  /** Sets deletionTimestamp and the garbage collector's finalizers in the stored object, as far as the request asks for that. */
  async #markForDeletion(
    context: RestContext,
    storage: WritableStorage,
    key: string,
    options: DeleteOptions,
    admission: AdmissionHooks,
  ): Promise<{ kind: 'waits' | 'pending' | 'now'; stored: Stored }> {
    const nowMs = this.#options.services.clock.now();
    let stop: { kind: 'pending' | 'now'; stored: Stored } | undefined;
    let waits = false;
    const stopped = new Error('nothing to write');
    try {
      const result = await storage.guaranteedUpdate(
        key,
        { mustExist: true, preconditions: options.preconditions },
        async ({ existing }) => {
          const stored = existing as Stored;
          stop = undefined;
          await this.#admitDelete(stored, admission);
          const object = deepClone(stored.object);
          const start = beginDeletion(object, this.#options.strategy, options, nowMs);
          if (start.pending) {
            stop = { kind: 'pending', stored };
            throw stopped;
          }
          const finalizers = finalizersForGarbageCollection(object, this.#options.strategy, options);
          if (finalizers !== undefined) {
            if (finalizers.length === 0) delete object.metadata.finalizers;
            else object.metadata.finalizers = finalizers;
          }
          const hasFinalizers = (object.metadata.finalizers ?? []).length > 0;
          if (!start.graceful) {
            if (!hasFinalizers) {
              stop = { kind: 'now', stored };
              throw stopped;
            }
            markDeleting(object, nowMs);
          }
          waits = hasFinalizers || (start.gracePeriodSeconds ?? 0) > 0;
          const ttlSeconds = this.#options.hooks?.ttlSeconds?.(object) ?? 0;
          return { object, ttlSeconds };
        },
      );
      return { kind: waits ? 'waits' : 'now', stored: result.stored };
    } catch (error) {
      const outcome = stop as { kind: 'pending' | 'now'; stored: Stored } | undefined;
      if (error === stopped && outcome !== undefined) return outcome;
      throw error;
    }
  }

  async #admitDelete(existing: Stored, admission: AdmissionHooks): Promise<void> {
    await admission.admit('DELETE', undefined, existing.object);
    await admission.validate('DELETE', undefined, existing.object);
  }

  async #finalizeDelete(context: RestContext, gone: Stored): Promise<DeleteResult> {
    if (!context.dryRun) await this.#options.hooks?.afterDelete?.(context, gone.object);
    return { object: this.#deleted(gone), immediate: true };
  }

  #deleted(stored: Stored): Stored | Status {
    if (this.#options.returnsDeletedObject === true) return stored;
    const { name, uid } = stored.object.metadata;
    const { group, resource } = this.#options.resource;
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: {
        ...(name === undefined ? {} : { name }),
        ...(group === '' ? {} : { group }),
        kind: resource,
        ...(uid === undefined ? {} : { uid }),
      },
    };
  }

  /** Whether an update that leaves `object` ends the deletion that was begun. */
  endsWith(object: KubeObject, existing: KubeObject): boolean {
    const custom = this.#options.hooks?.deletesDuringUpdate;
    if (custom !== undefined) return custom(object, existing);
    return (
      isDeleting(existing) &&
      (object.metadata.finalizers ?? []).length === 0 &&
      (existing.metadata.deletionGracePeriodSeconds ?? 0) === 0
    );
  }

  /** The update removed the last finalizer: the object goes, and the answer shows what was asked for, at the old revision. */
  async complete(
    context: RestContext,
    key: string,
    { object, existing }: EmptiedFinalizers,
  ): Promise<{ readonly object: Stored; readonly created: boolean }> {
    const answer = new StoredObject(this.#options.codec, key, existing.revision, object);
    if (context.dryRun) return { object: answer, created: false };
    const name = object.metadata.name ?? '';
    try {
      const gone = await this.#options.storage.delete(
        key,
        {
          ...(object.metadata.uid === undefined ? {} : { uid: object.metadata.uid }),
          resourceVersion: String(existing.revision),
        },
        () => undefined,
      );
      await this.#options.hooks?.afterDelete?.(context, gone.object);
    } catch (error) {
      if (!isKeyNotFound(error)) throw interpretStorageError(error, this.#groupResource, name, 'update');
    }
    return { object: answer, created: false };
  }
}

function withoutRevision(preconditions: DeleteOptions['preconditions']): DeleteOptions['preconditions'] {
  return preconditions?.uid === undefined ? undefined : { uid: preconditions.uid };
}
