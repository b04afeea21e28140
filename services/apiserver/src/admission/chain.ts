import type { AdmissionChain, AdmissionPlugin } from './interface.ts';

/** Runs plugins in order: all mutating ones before the object is validated, all validating ones after. */
export function admissionChain(plugins: readonly AdmissionPlugin[]): AdmissionChain {
  return {
    handles: (operation) => plugins.some((plugin) => plugin.handles(operation)),
    async admit(attributes) {
      for (const plugin of plugins) {
        if (plugin.admit !== undefined && plugin.handles(attributes.operation))
          await plugin.admit(attributes);
      }
    },
    async validate(attributes) {
      for (const plugin of plugins) {
        if (plugin.validate !== undefined && plugin.handles(attributes.operation)) {
          await plugin.validate(attributes);
        }
      }
    },
  };
}
