import type { KubeObject } from '@pilothouse/apimachinery';
import { compareQuantities } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionPlugin } from '../interface.ts';
import { newestDefault } from '../newest-default.ts';
import { forbid, isResource } from '../refusal.ts';

const defaultClassAnnotations: readonly string[] = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

/** A claim without a class gets the default one. */
export function defaultStorageClass({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      const { object } = attributes;
      if (!isResource(attributes, '', 'persistentvolumeclaims') || object === undefined) return;
      const spec = (object['spec'] ??= {}) as { storageClassName?: string };
      if (spec.storageClassName !== undefined || object.metadata.annotations?.[classAnnotation] !== undefined)
        return;
      const found = newestDefault(objects.cached(resources.storageClasses).list(), defaultClassAnnotations);
      if (found !== undefined) spec.storageClassName = found.metadata.name as string;
    },
  };
}

/** Volumes and claims go only once nothing uses them; a controller takes the finalizer off. */
export function storageObjectInUseProtection(): AdmissionPlugin {
  const finalizers: Readonly<Record<string, string>> = {
    persistentvolumes: 'kubernetes.io/pv-protection',
    persistentvolumeclaims: 'kubernetes.io/pvc-protection',
    volumeattributesclasses: 'kubernetes.io/vac-protection',
  };
  return {
    name: 'StorageObjectInUseProtection',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      const { object } = attributes;
      const finalizer = finalizers[attributes.resource.resource];
      if (finalizer === undefined || object === undefined) return;
      const group = attributes.resource.resource === 'volumeattributesclasses' ? 'storage.k8s.io' : '';
      if (attributes.resource.group !== group || attributes.subresource !== '') return;
      const present = object.metadata.finalizers ?? [];
      if (!present.includes(finalizer)) object.metadata.finalizers = [...present, finalizer];
    },
  };
}

/** A claim grows only when its class allows it. */
export function persistentVolumeClaimResize({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    handles: (operation) => operation === 'UPDATE',
    async validate(attributes) {
      const { object, oldObject } = attributes;
      if (!isResource(attributes, '', 'persistentvolumeclaims')) return;
      if (object === undefined || oldObject === undefined) return;
      const oldSize = sizeOf(oldObject);
      const newSize = sizeOf(object);
      if (compareQuantities(oldSize, newSize) >= 0) return;
      if (oldObject['status']?.phase !== 'Bound') {
        throw forbid(attributes, 'Only bound persistent volume claims can be expanded');
      }
      const className =
        object.metadata.annotations?.[classAnnotation] ??
        (object['spec']?.storageClassName as string | undefined);
      const storageClass = objects.cached(resources.storageClasses).get('', className ?? '');
      if (storageClass?.['allowVolumeExpansion'] !== true) {
        throw forbid(
          attributes,
          'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
        );
      }
    },
  };
}

function sizeOf(claim: KubeObject): string {
  return (claim['spec']?.resources?.requests?.storage as string | undefined) ?? '0';
}
