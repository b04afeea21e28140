import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { badValue, fieldError, shownMember } from '@pilothouse/apimachinery';
import { keepGeneration, restore, rootPath, specPath } from '../common.ts';
import { defaultAzureDisk, defaultRbd, defaultScaleIo, roundResourceList } from '../defaults/pod-spec.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateNodeSelector } from '../validation/affinity.ts';
import { nameIsDnsSubdomain } from '../validation/names.ts';
import { internalDiff, internalValue } from '../validation/internal-text.ts';
import { accessModes, volumeModes } from '../validation/persistent-volume-claim-spec.ts';
import { quantityOf, quantitySign, quantityText } from '../validation/quantities.ts';
import { validatePositiveQuantity } from '../validation/resources.ts';
import type { Json } from '../validation/values.ts';
import {
  entries,
  immutable,
  isSet,
  list,
  oneOf,
  problems,
  semanticEqual,
  text,
} from '../validation/values.ts';
import { persistentSourceNames, validatePersistentSource } from '../validation/persistent-volume-source.ts';
import { accessModesText, classOf } from './volume-text.ts';

const subdomain = (name: string): string[] => nameIsDnsSubdomain(name, false);

function validateSpec(spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  const modes = list(spec['accessModes']) as string[];
  if (modes.length === 0) errors.push(fieldError.required(specPath.child('accessModes')));
  for (const mode of modes) errors.push(...oneOf(specPath.child('accessModes'), mode, accessModes));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1)
    errors.push(
      fieldError.forbidden(
        specPath.child('accessModes'),
        'may not use ReadWriteOncePod with other access modes',
      ),
    );
  const capacity = (spec['capacity'] ?? null) as Json | null;
  const amounts = entries(capacity);
  if (amounts.length === 0) errors.push(fieldError.required(specPath.child('capacity')));
  if (!amounts.some(([name]) => name === 'storage') || amounts.length > 1)
    errors.push({
      type: 'FieldValueNotSupported',
      field: specPath.child('capacity').text,
      message: `Unsupported value: ${badValue(amounts.length > 0 ? Object.fromEntries(amounts) : shownMember(spec, 'capacity'))}: supported values: "storage"`,
    });
  for (const [name, value] of amounts)
    if (name === 'storage') {
      if (quantitySign(value) < 0)
        errors.push(
          fieldError.invalid(
            specPath.child('capacity').key(name),
            quantityOf(value).value,
            'must be a valid resource quantity',
          ),
        );
      errors.push(...validatePositiveQuantity(value, specPath.child('capacity').key(name)));
    }
  const policy = text(spec['persistentVolumeReclaimPolicy']);
  if (policy !== '')
    errors.push(
      ...oneOf(specPath.child('persistentVolumeReclaimPolicy'), policy, ['Delete', 'Recycle', 'Retain']),
    );
  const affinity = spec['nodeAffinity'] as Json | null | undefined;
  let affinityFound = false;
  if (isSet(affinity)) {
    const path = specPath.child('nodeAffinity', 'required');
    if (isSet(affinity['required'])) {
      const found = validateNodeSelector(affinity['required'] as Json, path);
      errors.push(...found);
      affinityFound = found.length === 0;
    } else errors.push(fieldError.required(path, 'must specify required node constraints'));
  }
  errors.push(...validatePersistentSource(spec, specPath, affinityFound));
  if (text(spec['hostPath']?.path) !== '' && isRootPath(text(spec['hostPath'].path)) && policy === 'Recycle')
    errors.push(
      fieldError.forbidden(
        specPath.child('persistentVolumeReclaimPolicy'),
        "may not be 'recycle' for a hostPath mount of '/'",
      ),
    );
  const className = text(spec['storageClassName']);
  if (className !== '')
    errors.push(...problems(specPath.child('storageClassName'), className, subdomain(className)));
  if (isSet(spec['volumeMode']))
    errors.push(...oneOf(specPath.child('volumeMode'), spec['volumeMode'], volumeModes));
  const attributes = spec['volumeAttributesClassName'] as string | null | undefined;
  if (isSet(attributes)) {
    const path = specPath.child('volumeAttributesClassName');
    if (attributes === '') errors.push(fieldError.required(path, 'an empty string is disallowed'));
    else errors.push(...problems(path, attributes, subdomain(attributes)));
    if (!isSet(spec['csi']))
      errors.push(
        fieldError.required(
          specPath.child('csi'),
          'has to be specified when using volumeAttributesClassName',
        ),
      );
  }
  return errors;
}

const isRootPath = (path: string): boolean => path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1') === '/';

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
  validate: (object) => validateSpec((object['spec'] ?? {}) as Json),
  warningsOnCreate: warnings,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    keepGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...validateSpec((object['spec'] ?? {}) as Json),
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
