import type { StoreHooks } from '../generic/store-options.ts';

/** batch/v1 Jobs leave their pods when nothing else is asked for, which surprises people: the answer says so. */
export const jobHooks: StoreHooks = {
  warningsOnDelete: (options) =>
    options.propagationPolicy === undefined && options.orphanDependents === undefined
      ? [
          'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
        ]
      : [],
};
