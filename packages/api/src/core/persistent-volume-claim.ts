import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { keepGeneration, restore, specPath, statusHooks, statusPath } from '../common.ts';
import { roundResourceList } from '../defaults/pod-spec.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { internalDiff } from '../validation/internal-text.ts';
import { validateClaimSpec, validateResourceList } from '../validation/persistent-volume-claim-spec.ts';
import { compareQuantities, quantityOf, quantityText } from '../validation/quantities.ts';
import type { Json } from '../validation/values.ts';
import { clone, isSet, list, semanticEqual, text } from '../validation/values.ts';
import { accessModesText, classOf } from './volume-text.ts';

const specOf = (claim: KubeObject): Json => (claim['spec'] ?? {}) as Json;

/** dataSource and dataSourceRef tell the same where both can. */
function agreeOnDataSource(spec: Json): void {
  const source = spec['dataSource'] as Json | null | undefined;
  const ref = spec['dataSourceRef'] as Json | null | undefined;
  // Old clients may name kinds that no version ever filled a claim from; those are dropped without a word.
  if (isSet(source) && !isSet(ref) && !isFillable(source)) delete spec['dataSource'];
  else if (isSet(source) && !isSet(ref)) spec['dataSourceRef'] = clone(source);
  else if (isSet(ref) && !isSet(source) && text(ref['namespace']) === '') {
    const { apiGroup, kind, name } = ref as { apiGroup?: unknown; kind?: unknown; name?: unknown };
    spec['dataSource'] = { ...(isSet(apiGroup) ? { apiGroup } : {}), kind, name };
  }
}

function isFillable(source: Json): boolean {
  const group = text(source['apiGroup']);
  return (
    (group === '' && source['kind'] === 'PersistentVolumeClaim') ||
    (group === 'snapshot.storage.k8s.io' && source['kind'] === 'VolumeSnapshot')
  );
}

const immutableText =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

function validateChange(claim: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const now = clone(specOf(claim));
  const before = clone(specOf(old));
  // The binder sets the volume's name once; a class may be given later to a claim that had none.
  if (text(before['volumeName']) === '' && text(now['volumeName']) !== '')
    before['volumeName'] = now['volumeName'] as unknown;
  const bound = old['status']?.phase === 'Bound';
  if (
    !isSet(before['storageClassName']) &&
    isSet(now['storageClassName']) &&
    (text(old['spec']?.volumeName) === '' || !bound)
  )
    before['storageClassName'] = now['storageClassName'] as unknown;
  const wanted: unknown = now['resources']?.requests?.storage;
  const had: unknown = before['resources']?.requests?.storage;
  if (bound && isSet(wanted) && isSet(had)) now['resources'].requests.storage = had;
  // A request may shrink to what was provisioned, never below it.
  if (compareQuantities(wanted ?? '0', had ?? '0') < 0) {
    const capacity: unknown = old['status']?.capacity?.storage;
    if (compareQuantities(wanted ?? '0', capacity ?? '0') <= 0)
      errors.push(
        fieldError.forbidden(
          specPath.child('resources', 'requests', 'storage'),
          'field can not be less than status.capacity',
        ),
      );
  }
  if (bound || text(before['volumeAttributesClassName']) === '') {
    const name = 'volumeAttributesClassName';
    if (bound && isSet(before[name]) && !isSet(now[name]))
      errors.push(
        fieldError.forbidden(specPath.child(name), 'update from non-nil value to nil is forbidden'),
      );
    if (bound) {
      if (isSet(before[name])) now[name] = before[name] as unknown;
      else delete now[name];
    }
  }
  if (!semanticEqual(now, before))
    errors.unshift(
      fieldError.forbidden(
        specPath,
        `${immutableText}\n${internalDiff('PersistentVolumeClaimSpec', before, now)}`,
      ),
    );
  return errors;
}

function validateStatus(claim: KubeObject): FieldError[] {
  return ['capacity', 'allocatedResources'].flatMap((name) =>
    validateResourceList(claim['status']?.[name], statusPath.child(name)),
  );
}

function warnings(claim: KubeObject): string[] {
  const out: string[] = [];
  if (claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined)
    out.push(
      'metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead',
    );
  for (const kind of ['requests', 'limits']) {
    const storage: unknown = specOf(claim)['resources']?.[kind]?.storage;
    if (isSet(storage) && quantityOf(storage).milliValue % 1000 !== 0)
      out.push(
        `${specPath.child('resources', kind).key('storage').text}: fractional byte value "${quantityText(storage)}" is invalid, must be an integer`,
      );
  }
  return out;
}

export const persistentVolumeClaimStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'PersistentVolumeClaim',
  revalidatesMetadata: true,
  resource: 'persistentvolumeclaims',
  resetFields: ['status'],
  defaults(claim) {
    const spec = ensure(claim, 'spec');
    setZeroDefault(ensure(claim, 'status'), 'phase', 'Pending');
    setDefault(spec, 'volumeMode', 'Filesystem');
    roundResourceList(spec['resources']?.requests);
    roundResourceList(spec['resources']?.limits);
  },
  prepareForCreate(claim) {
    claim['status'] = { phase: 'Pending' };
    agreeOnDataSource(specOf(claim));
  },
  validate: (claim) => validateClaimSpec(specOf(claim), specPath),
  warningsOnCreate: warnings,
  prepareForUpdate(claim, old) {
    restore(claim, old, 'status');
    keepGeneration(claim, old);
    agreeOnDataSource(specOf(claim));
  },
  validateUpdate: (claim, old) => [
    ...validateClaimSpec(specOf(claim), specPath),
    ...validateChange(claim, old),
  ],
  warningsOnUpdate: warnings,
  subresources: { status: statusHooks(validateStatus) },
  columns: columnsOf['/persistentvolumeclaims'] ?? [],
  cells(claim, nowMs) {
    const spec = specOf(claim);
    const named = text(spec['volumeName']) !== '';
    const attributes = spec['volumeAttributesClassName'] as string | null | undefined;
    return [
      nameOf(claim),
      isSet(claim.metadata.deletionTimestamp) ? 'Terminating' : text(claim['status']?.phase),
      text(spec['volumeName']),
      named ? quantityText(claim['status']?.capacity?.storage ?? '0') : '',
      named ? accessModesText(list(claim['status']?.accessModes)) : '',
      classOf(claim),
      isSet(attributes) ? attributes : '<unset>',
      ageOf(claim, nowMs),
      isSet(spec['volumeMode']) ? text(spec['volumeMode']) : '<unset>',
    ];
  },
};
