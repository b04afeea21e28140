import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { keepGeneration, restore, rootPath, specPath } from '../common.ts';
import { defaultAzureDisk, defaultRbd, defaultScaleIo, roundResourceList } from '../defaults/pod-spec.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { internalDiff, internalValue } from '../validation/internal-text.ts';
import { validateVolumeSpec } from '../validation/persistent-volume-spec.ts';
import { quantityText } from '../validation/quantities.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, semanticEqual, text } from '../validation/values.ts';
import { persistentSourceNames } from '../validation/persistent-volume-source.ts';
import { accessModesText, classOf } from './volume-text.ts';

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const now = (object['spec'] ?? {}) as Json;
  const before = (old['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  if (!persistentSourceNames.every((name) => semanticEqual(now[name], before[name])))
    errors.push(
      fieldError.forbidden(
        specPath.child('persistentvolumesource'),
        `spec.persistentvolumesource is immutable after creation\n${internalDiff('PersistentVolumeSource', before, now)}`,
      ),
    );
  errors.push(...immutable(now['volumeMode'], before['volumeMode'], rootPath.child('volumeMode')));
  if (isSet(before['nodeAffinity']) && !semanticEqual(now['nodeAffinity'], before['nodeAffinity']))
    errors.push(
      fieldError.invalid(
        rootPath.child('nodeAffinity'),
        internalValue('VolumeNodeAffinity', now['nodeAffinity']),
        'field is immutable, except for updating from beta label to GA',
      ),
    );
  return errors;
}

function warnings(object: KubeObject): string[] {
  const spec = (object['spec'] ?? {}) as Json;
  const out: string[] = [];
  if (object.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined)
    out.push(
      'metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead',
    );
  if (object.metadata.annotations?.['volume.beta.kubernetes.io/mount-options'] !== undefined)
    out.push(
      'metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "mountOptions" attribute instead',
    );
  if (spec['persistentVolumeReclaimPolicy'] === 'Recycle')
    out.push(
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
    );
  const removed: Readonly<Record<string, string>> = {
    photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
    scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
    storageos: 'deprecated in v1.22, non-functional in v1.25+',
    glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
    cephfs: 'deprecated in v1.28, non-functional in v1.31+',
    rbd: 'deprecated in v1.28, non-functional in v1.31+',
    flocker: 'deprecated in v1.22, non-functional in v1.25+',
    quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  };
  for (const [name, detail] of Object.entries(removed))
    if (isSet(spec[name])) out.push(`${specPath.child(name).text}: ${detail}`);
  return out;
}

export const persistentVolumeStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'PersistentVolume',
  revalidatesMetadata: true,
  resource: 'persistentvolumes',
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    roundResourceList(spec['capacity']);
    setZeroDefault(ensure(object, 'status'), 'phase', 'Pending');
    setZeroDefault(spec, 'persistentVolumeReclaimPolicy', 'Retain');
    setDefault(spec, 'volumeMode', 'Filesystem');
    if (isSet(spec['hostPath'])) setDefault(spec['hostPath'] as Json, 'type', '');
    if (isSet(spec['iscsi'])) setZeroDefault(spec['iscsi'] as Json, 'iscsiInterface', 'default');
    if (isSet(spec['rbd'])) defaultRbd(spec['rbd'] as Json);
    if (isSet(spec['azureDisk'])) defaultAzureDisk(spec['azureDisk'] as Json);
    if (isSet(spec['scaleIO'])) defaultScaleIo(spec['scaleIO'] as Json);
  },
  prepareForCreate(object, context) {
    object['status'] = { phase: 'Pending', lastPhaseTransitionTime: context.now };
  },
  validate: (object) => validateVolumeSpec((object['spec'] ?? {}) as Json, specPath),
  warningsOnCreate: warnings,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    keepGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...validateVolumeSpec((object['spec'] ?? {}) as Json, specPath),
    ...validateChange(object, old),
  ],
  warningsOnUpdate: warnings,
  subresources: {
    status: {
      resetFields: ['spec'],
      prepareForUpdate(object, old, context) {
        restore(object, old, 'spec');
        keepGeneration(object, old);
        const status = ensure(object, 'status');
        // The server keeps the time of the last change of phase.
        if (text(status['phase']) !== text(old['status']?.phase)) {
          if (
            !isSet(status['lastPhaseTransitionTime']) ||
            status['lastPhaseTransitionTime'] === old['status']?.lastPhaseTransitionTime
          )
            status['lastPhaseTransitionTime'] = context.now;
        } else if (!isSet(status['lastPhaseTransitionTime']) && isSet(old['status']?.lastPhaseTransitionTime))
          status['lastPhaseTransitionTime'] = old['status'].lastPhaseTransitionTime as unknown;
      },
    },
  },
  columns: columnsOf['/persistentvolumes'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const claim = spec['claimRef'] as Json | null | undefined;
    const phase = isSet(object.metadata.deletionTimestamp) ? 'Terminating' : text(object['status']?.phase);
    const attributes = spec['volumeAttributesClassName'] as string | null | undefined;
    return [
      nameOf(object),
      quantityText(spec['capacity']?.storage ?? '0'),
      accessModesText(spec['accessModes']),
      text(spec['persistentVolumeReclaimPolicy']),
      phase,
      isSet(claim) ? `${text(claim['namespace'])}/${text(claim['name'])}` : '',
      classOf(object),
      isSet(attributes) ? attributes : '<unset>',
      text(object['status']?.reason),
      ageOf(object, nowMs),
      isSet(spec['volumeMode']) ? text(spec['volumeMode']) : '<unset>',
    ];
  },
};
