import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionPlugin } from '../interface.ts';
import { newestDefault } from '../newest-default.ts';
import { isResource } from '../refusal.ts';

/** An ingress without a class gets the default one. */
export function defaultIngressClass({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      const { object } = attributes;
      if (!isResource(attributes, 'networking.k8s.io', 'ingresses') || object === undefined) return;
      const spec = (object['spec'] ??= {}) as { ingressClassName?: string };
      if (spec.ingressClassName !== undefined) return;
      if (object.metadata.annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
      const found = newestDefault(objects.cached(resources.ingressClasses).list(), [
        'ingressclass.kubernetes.io/is-default-class',
      ]);
      if (found !== undefined) spec.ingressClassName = found.metadata.name as string;
    },
  };
}
