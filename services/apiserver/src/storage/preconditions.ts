import { storageErrors } from './errors.ts';
import type { PreconditionCheck } from './interface.ts';

export const checkPreconditions: PreconditionCheck = (key, preconditions, existing) => {
  if (preconditions === undefined) return;
  const { uid, resourceVersion } = preconditions;
  const meta = existing.metadata;
  if (uid !== undefined && uid !== (meta.uid ?? '')) {
    throw storageErrors.precondition(
      key,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${meta.uid ?? ''}`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== (meta.resourceVersion ?? '')) {
    throw storageErrors.precondition(
      key,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${meta.resourceVersion ?? ''}`,
    );
  }
};
