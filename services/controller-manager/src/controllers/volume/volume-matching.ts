import type { KubeObject, LabelSelectorObject } from '@pilothouse/apimachinery';
import { compareQuantities, labelSelectorOf } from '@pilothouse/apimachinery';

const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

/** The storage class of a claim or a volume; the old annotation wins over the field. */
export function storageClassOf(object: KubeObject): string {
  return (
    object.metadata.annotations?.[classAnnotation] ??
    (object['spec'].storageClassName as string | undefined) ??
    ''
  );
}

interface ClaimRef {
  namespace?: string;
  name?: string;
  uid?: string;
}

/** Whether the volume names this claim, be it by a user (without uid) or by a finished binding. */
export function isVolumeFor(volume: KubeObject, claim: KubeObject): boolean {
  const ref = volume['spec'].claimRef as ClaimRef | undefined;
  return (
    ref !== undefined &&
    ref.name === claim.metadata.name &&
    ref.namespace === claim.metadata.namespace &&
    (ref.uid === undefined || ref.uid === '' || ref.uid === claim.metadata.uid)
  );
}

const modeOf = (object: KubeObject): string =>
  (object['spec'].volumeMode as string | undefined) ?? 'Filesystem';

const capacityOf = (volume: KubeObject): string =>
  (volume['spec'].capacity?.storage as string | undefined) ?? '0';

const requestOf = (claim: KubeObject): string =>
  (claim['spec'].resources?.requests?.storage as string | undefined) ?? '0';

/** Why a volume that the user chose for a claim cannot be used; undefined: it can. */
export function mismatch(volume: KubeObject, claim: KubeObject): string | undefined {
  if (compareQuantities(capacityOf(volume), requestOf(claim)) < 0) return 'requested PV is too small';
  if (storageClassOf(volume) !== storageClassOf(claim)) return 'storageClassName does not match';
  if (modeOf(volume) !== modeOf(claim)) return 'incompatible volumeMode';
  if (!hasAccessModes(volume, claim)) return 'incompatible accessMode';
  return undefined;
}

function hasAccessModes(volume: KubeObject, claim: KubeObject): boolean {
  const offered = (volume['spec'].accessModes ?? []) as string[];
  return ((claim['spec'].accessModes ?? []) as string[]).every((mode) => offered.includes(mode));
}

/**
 * The volume to bind to a claim: one that was reserved for it by name, or else the smallest free one that fits. With `delayed`
 * (the first consumer decides) only a reserved one counts.
 */
export function findVolume(
  claim: KubeObject,
  volumes: readonly KubeObject[],
  delayed: boolean,
): KubeObject | undefined {
  const selectorObject = claim['spec'].selector as LabelSelectorObject | undefined;
  const selector = selectorObject && labelSelectorOf(selectorObject);
  const attributesClass = (claim['spec'].volumeAttributesClassName as string | undefined) ?? '';
  let best: KubeObject | undefined;
  for (const volume of volumes) {
    if (
      volume.metadata.deletionTimestamp !== undefined ||
      modeOf(volume) !== modeOf(claim) ||
      compareQuantities(capacityOf(volume), requestOf(claim)) < 0
    )
      continue;
    if (isVolumeFor(volume, claim)) return volume;
    if (
      delayed ||
      volume['spec'].claimRef !== undefined ||
      volume['status']?.phase !== 'Available' ||
      ((volume['spec'].volumeAttributesClassName as string | undefined) ?? '') !== attributesClass ||
      storageClassOf(volume) !== storageClassOf(claim) ||
      !hasAccessModes(volume, claim) ||
      (selector && !selector.matches(volume.metadata.labels ?? {}))
    )
      continue;
    if (!best || compareQuantities(capacityOf(volume), capacityOf(best)) < 0) best = volume;
  }
  return best;
}
