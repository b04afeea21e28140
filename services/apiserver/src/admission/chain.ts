import type { AdmissionChain, AdmissionPlugin } from './interface.ts';

/** Runs plugins in order: all mutating ones before the object is validated, all validating ones after. */
export function admissionChain(plugins: readonly AdmissionPlugin[]): AdmissionChain {
  return {
    handles: (operation) => plugins.some((plugin) => plugin.handles(operation)),
    async admit(attributes) {
      const concerned = plugins.filter((plugin) => plugin.handles(attributes.operation));
      for (const plugin of concerned) await plugin.admit?.(attributes);
      // Webhooks and policies come last, so the others look once more at what they made of the object.
      if (!concerned.some((plugin) => plugin.wantsReadmission?.(attributes) === true)) return;
      for (const plugin of concerned) {
        if (plugin.readmit !== undefined) await plugin.readmit(attributes);
        else await plugin.admit?.(attributes);
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
