import type { KubeObject } from '@pilothouse/apimachinery';
import { deepClone } from '../../../storage/deep.ts';
import { interpretStorageError } from '../../../storage/errors.ts';
import { dryRunStorage } from '../../generic/dry-run.ts';
import {
  checkDeletePreconditions,
  finalizersForGarbageCollection,
  isDeleting,
} from '../../generic/graceful-delete.ts';
import { GenericStore } from '../../generic/store.ts';
import type { GenericStoreOptions } from '../../generic/store-options.ts';
import type {
  AdmissionHooks,
  DeleteOptions,
  DeleteResult,
  RestContext,
  Stored,
} from '../../rest/rest-storage.ts';

function specFinalizers(object: KubeObject): readonly string[] {
  return (object['spec']?.finalizers ?? []) as readonly string[];
}

/**
 * Namespaces: a delete only begins their end (phase Terminating); the namespace controller empties them and removes the `kubernetes` finalizer
 * through the finalize subresource, which completes it.
 */
export class NamespaceStore extends GenericStore {
  constructor(options: GenericStoreOptions) {
    super({
      ...options,
      hooks: {
        ...options.hooks,
        deletesDuringUpdate: (object, existing) =>
          isDeleting(existing) &&
          specFinalizers(object).length === 0 &&
          (object.metadata.finalizers ?? []).length === 0,
      },
      returnsDeletedObject: true,
    });
  }

  override async delete(
    context: RestContext,
    name: string,
    options: DeleteOptions,
    admission: AdmissionHooks,
  ): Promise<DeleteResult> {
    const first = await this.get(context, name, {});
    checkDeletePreconditions(first.object, this.groupResource, options);
    const storage = context.dryRun
      ? dryRunStorage(this.storage, this.options.codec, this.options.prefix)
      : this.storage;
    const uid = options.preconditions?.uid ?? first.object.metadata.uid;
    let marked: Stored;
    try {
      const result = await storage.guaranteedUpdate(
        name,
        { mustExist: true, preconditions: uid === undefined ? undefined : { uid } },
        async ({ existing }) => {
          const stored = existing as Stored;
          const object = deepClone(stored.object);
          await admission.admit('DELETE', undefined, stored.object);
          await admission.validate('DELETE', undefined, stored.object);
          if (!isDeleting(object)) {
            object.metadata.deletionTimestamp = context.now;
            const finalizers = finalizersForGarbageCollection(object, this.strategy, options);
            if (finalizers !== undefined) object.metadata.finalizers = finalizers;
          }
          object['status'] = { ...object['status'], phase: 'Terminating' };
          return { object };
        },
      );
      marked = result.stored;
    } catch (error) {
      throw interpretStorageError(error, this.groupResource, name, 'delete');
    }
    if (specFinalizers(marked.object).length > 0 || context.dryRun)
      return { object: marked, immediate: false };
    return super.delete(context, name, options, admission);
  }
}
