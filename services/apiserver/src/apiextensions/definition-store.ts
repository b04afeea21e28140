import { cleanupFinalizer, withCondition } from '@pilothouse/api/apiextensions';
import type { CrdCondition } from '@pilothouse/api/apiextensions';
import { deepClone } from '../storage/deep.ts';
import { interpretStorageError } from '../storage/errors.ts';
import { dryRunStorage } from '../registry/generic/dry-run.ts';
import { checkDeletePreconditions, isDeleting } from '../registry/generic/graceful-delete.ts';
import { GenericStore } from '../registry/generic/store.ts';
import type {
  AdmissionHooks,
  DeleteOptions,
  DeleteResult,
  RestContext,
  Stored,
} from '../registry/rest/rest-storage.ts';

/** CustomResourceDefinitions: a delete first marks them and adds the finalizer behind which their objects are removed. */
export class DefinitionStore extends GenericStore {
  override async delete(
    context: RestContext,
    name: string,
    options: DeleteOptions,
    admission: AdmissionHooks,
  ): Promise<DeleteResult> {
    const first = await this.get(context, name, {});
    checkDeletePreconditions(first.object, this.groupResource, options);
    if (isDeleting(first.object)) return super.delete(context, name, options, admission);
    const storage = context.dryRun
      ? dryRunStorage(this.storage, this.options.codec, this.options.prefix)
      : this.storage;
    try {
      const { stored } = await storage.guaranteedUpdate(
        name,
        { mustExist: true, preconditions: options.preconditions },
        async ({ existing }) => {
          const { object: old } = existing as Stored;
          const object = deepClone(old);
          await admission.admit('DELETE', undefined, old);
          await admission.validate('DELETE', undefined, old);
          if (isDeleting(object)) return { object };
          // Unlike other kinds' deletions this one has no grace period and is no change of what is wanted.
          object.metadata.deletionTimestamp = context.now;
          const finalizers = object.metadata.finalizers ?? [];
          if (!finalizers.includes(cleanupFinalizer)) {
            object.metadata.finalizers = [...finalizers, cleanupFinalizer];
          }
          object['status'] = {
            ...object['status'],
            conditions: withCondition(
              object['status']?.conditions as CrdCondition[],
              {
                type: 'Terminating',
                status: 'True',
                reason: 'InstanceDeletionPending',
                message:
                  'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
              },
              context.now,
            ),
          };
          return { object };
        },
      );
      return { object: stored, immediate: false };
    } catch (error) {
      throw interpretStorageError(error, this.groupResource, name, 'delete');
    }
  }
}
