import type { KubeObject, StatusError } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { forbid } from '../refusal.ts';
import { resources } from '../../security/object-access.ts';

const immortal: readonly string[] = ['default', 'kube-system', 'kube-public'];

/** Nothing new comes into a namespace that does not exist or ends; some namespaces never end. */
export function namespaceLifecycle({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    handles: (operation) => operation !== 'CONNECT',
    async admit(attributes) {
      const { operation, namespace } = attributes;
      const isNamespace = attributes.kind.group === '' && attributes.kind.kind === 'Namespace';
      if (isNamespace) {
        if (operation === 'DELETE' && immortal.includes(attributes.name)) {
          throw forbid(attributes, 'this namespace may not be deleted');
        }
        return;
      }
      if (namespace === '' || operation === 'DELETE' || isAccessReview(attributes)) return;
      const object = await findNamespace(objects, namespace);
      if (operation !== 'CREATE' || object['status']?.phase !== 'Terminating') return;
      throw terminating(attributes, namespace);
    },
  };
}

function isAccessReview(attributes: AdmissionAttributes): boolean {
  return (
    attributes.resource.group === 'authorization.k8s.io' &&
    attributes.resource.resource === 'localsubjectaccessreviews'
  );
}

/** Throws StatusError 404. The cache may not know a young namespace, so only the store can say that it is missing. */
export async function findNamespace(
  objects: AdmissionDependencies['objects'],
  name: string,
): Promise<KubeObject> {
  const cached = objects.cached(resources.namespaces).get('', name);
  return cached ?? (await objects.get(resources.namespaces, '', name));
}

function terminating(attributes: AdmissionAttributes, namespace: string): StatusError {
  const name = attributes.name !== '' ? attributes.name : (attributes.object?.metadata.name ?? '');
  const error =
    name === ''
      ? forbid(attributes, terminatingText(namespace))
      : statusErrors.forbidden(attributes.resource, name, terminatingText(namespace));
  error.status.details = {
    ...error.status.details,
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  };
  return error;
}

function terminatingText(namespace: string): string {
  return `unable to create new content in namespace ${namespace} because it is being terminated`;
}
