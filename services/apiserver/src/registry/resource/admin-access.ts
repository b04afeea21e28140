import { fieldError, FieldPath, type KubeObject, statusErrors } from '@pilothouse/apimachinery';
import type { StoreHooks } from '../generic/store-options.ts';
import type { CacheView } from '../rest/rest-storage.ts';

const label = 'resource.kubernetes.io/admin-access';

interface Request {
  readonly exactly?: { readonly adminAccess?: boolean };
}

/**
 * Devices that others use are given to claims of namespaces only that an administrator has labelled for it. `devicesOf` is the
 * `spec.devices` of a claim or of a template's claim.
 */
export function adminAccessHooks(
  kind: 'ResourceClaim' | 'ResourceClaimTemplate',
  namespaces: () => CacheView | undefined,
): StoreHooks {
  const finish = (): Promise<void> => Promise.resolve();
  return {
    beginCreate(_context, object: KubeObject) {
      const spec = kind === 'ResourceClaim' ? object['spec'] : object['spec']?.spec;
      const requests = (spec?.devices?.requests ?? []) as readonly Request[];
      const index = requests.findIndex((request) => request.exactly?.adminAccess === true);
      const { namespace = '', name = '' } = object.metadata;
      if (index >= 0 && namespaces()?.get('', namespace)?.metadata.labels?.[label] !== 'true') {
        const at = new FieldPath('spec').child('devices', 'requests').index(index).child('adminAccess');
        const text = `admin access to devices requires the \`${label}: true\` label on the containing namespace`;
        throw statusErrors.invalid({ group: 'resource.k8s.io', kind }, name, [
          fieldError.forbidden(at, text),
        ]);
      }
      return Promise.resolve(finish);
    },
  };
}
