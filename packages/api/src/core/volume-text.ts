import type { KubeObject } from '@pilothouse/apimachinery';
import { list, text } from '../validation/values.ts';

const shortNames: readonly (readonly [string, string])[] = [
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
];

/** `RWO,ROX`. */
export function accessModesText(modes: unknown): string {
  const have = list(modes) as string[];
  return shortNames
    .filter(([mode]) => have.includes(mode))
    .map(([, short]) => short)
    .join(',');
}

/** The class of a claim or volume; the old annotation wins. */
export function classOf(object: KubeObject): string {
  return (
    object.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ??
    text(object['spec']?.storageClassName)
  );
}
