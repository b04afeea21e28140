import type { Plugin } from '../framework.ts';
import { refuse } from '../framework.ts';

/** Dynamic resource allocation is not built: a pod that needs it is told so instead of being placed without its devices. */
export const dynamicResources: Plugin = {
  name: 'DynamicResources',
  preFilter: ({ pod }) => {
    if ((pod.pod['spec']?.resourceClaims ?? []).length === 0) return { skip: true };
    const text = 'resource claims cannot be allocated: this scheduler has no dynamic resource allocation';
    return { status: refuse('DynamicResources', 'unschedulableAndUnresolvable', text) };
  },
  filter: () => undefined,
  mayHelp: () => false,
};
