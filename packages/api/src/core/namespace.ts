import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { restore, specPath, statusHooks, statusPath } from '../common.ts';
import { ensure } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isQualifiedName, nameIsDnsLabel } from '../validation/names.ts';
import { isSet, list, problems, text } from '../validation/values.ts';

const nameLabel = 'kubernetes.io/metadata.name';

/** Only the write of finalizers alone tells which one is meant (`indexed`). */
function validateFinalizers(object: KubeObject, indexed: boolean): FieldError[] {
  return list(object['spec']?.finalizers).flatMap((each, index) => {
    const finalizer = text(each);
    const all = specPath.child('finalizers');
    const path = indexed ? all.index(index) : all;
    const errors = problems(path, finalizer, isQualifiedName(finalizer));
    if (!finalizer.includes('/') && !['kubernetes', 'orphan', 'foregroundDeletion'].includes(finalizer))
      errors.push(
        fieldError.invalid(
          path,
          finalizer,
          'name is neither a standard finalizer name nor is it fully qualified',
        ),
      );
    return errors;
  });
}

function validateStatus(object: KubeObject): FieldError[] {
  const phase = text(object['status']?.phase);
  const path = statusPath.child('Phase');
  if (isSet(object.metadata.deletionTimestamp)) {
    if (phase !== 'Terminating')
      return [
        fieldError.invalid(path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"),
      ];
  } else if (phase !== 'Active')
    return [fieldError.invalid(path, phase, "may only be 'Active' if `deletionTimestamp` is empty")];
  return [];
}

export const namespaceStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  revalidatesMetadata: true,
  resource: 'namespaces',
  resetFields: ['status'],
  validateName: nameIsDnsLabel,
  defaults(object) {
    const name = text(object.metadata.name);
    // A namespace can be selected by its name.
    if (name !== '') object.metadata.labels = { ...object.metadata.labels, [nameLabel]: name };
    ensure(object, 'status')['phase'] ??= 'Active';
  },
  prepareForCreate(object) {
    object['status'] = { phase: 'Active' };
    const spec = ensure(object, 'spec');
    const finalizers = list(spec['finalizers']) as string[];
    if (!finalizers.includes('kubernetes')) spec['finalizers'] = [...finalizers, 'kubernetes'];
  },
  validate: (object) => validateFinalizers(object, false),
  canonicalize(object) {
    // The label follows the name even when someone else set it.
    object.metadata.labels = { ...object.metadata.labels, [nameLabel]: text(object.metadata.name) };
  },
  prepareForUpdate(object, old) {
    ensure(object, 'spec');
    if (old['spec']?.finalizers === undefined) delete object['spec'].finalizers;
    else object['spec'].finalizers = [...(old['spec'].finalizers as string[])];
    restore(object, old, 'status');
  },
  subresources: {
    status: statusHooks(validateStatus),
    finalize: {
      resetFields: ['status'],
      prepareForUpdate: (object, old) => {
        restore(object, old, 'status');
      },
      validateUpdate: (object) => validateFinalizers(object, true),
    },
  },
  noNamespaceField: true,
  selectableFields: {
    'status.phase': (object) => text(object['status']?.phase),
  },
  columns: columnsOf['/namespaces'] ?? [],
  cells: (object, nowMs) => [nameOf(object), text(object['status']?.phase), ageOf(object, nowMs)],
};
