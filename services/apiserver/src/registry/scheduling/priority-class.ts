import { statusErrors } from '@pilothouse/apimachinery';
import type { StoreHooks } from '../generic/store-options.ts';

/** The classes that every cluster has stay. */
export const priorityClassHooks: StoreHooks = {
  beginDelete(name) {
    if (name !== 'system-node-critical' && name !== 'system-cluster-critical') return;
    throw statusErrors.forbidden(
      { group: 'scheduling.k8s.io', resource: 'priorityclasses' },
      name,
      'this is a system priority class and cannot be deleted',
    );
  },
};
