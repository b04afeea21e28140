import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath, specPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateLabelSelector } from '../validation/meta.ts';
import { isQualifiedName, nameIsDnsSubdomain } from '../validation/names.ts';
import { quantitySign, quantityText } from '../validation/quantities.ts';
import { internalValue } from '../validation/internal-text.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, list, problems, semanticEqual, text } from '../validation/values.ts';
import { validateCsiDriverName } from '../validation/volumes.ts';

const path = specPath.child('drivers');

function validateNode(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  list(object['spec']?.drivers).forEach((driver: Json, index) => {
    const at = path.index(index);
    const name = text(driver['name']);
    errors.push(...validateCsiDriverName(name, at.child('name')));
    const id = text(driver['nodeID']);
    if (id === '') errors.push(fieldError.required(at.child('nodeID')));
    if (id.length > 256)
      errors.push(fieldError.invalid(at.child('nodeID'), id, 'must be 256 characters or less'));
    const count = driver['allocatable']?.count as number | null | undefined;
    if (isSet(count) && count < 0)
      errors.push(
        fieldError.invalid(at.child('allocatable', 'count'), count, 'must be greater than or equal to 0'),
      );
    if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    names.add(name);
    const topologyKeys = list(driver['topologyKeys']) as string[];
    for (const [keyIndex, key] of topologyKeys.entries()) {
      if (topologyKeys.indexOf(key) !== keyIndex) errors.push(fieldError.duplicate(at, key));
      if (key === '') errors.push(fieldError.required(at));
      errors.push(...problems(at, key, isQualifiedName(key)));
    }
  });
  return errors;
}

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateNode(object);
  const now = list(object['spec']?.drivers) as Json[];
  for (const before of list(old['spec']?.drivers) as Json[])
    for (const [index, driver] of now.entries())
      if (
        driver['name'] === before['name'] &&
        !semanticEqual({ ...driver, allocatable: null }, { ...before, allocatable: null })
      )
        errors.push(
          fieldError.invalid(path.index(index), internalValue('CSINodeDriver', driver), 'field is immutable'),
        );
  return errors;
}

export const csiNodeStrategy: ResourceStrategy = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSINode',
  revalidatesMetadata: true,
  resource: 'csinodes',
  allowUnconditionalUpdate: false,
  validateName: nameIsDnsSubdomain,
  validate: validateNode,
  validateUpdate: validateChange,
  columns: columnsOf['storage.k8s.io/csinodes'] ?? [],
  cells: (object, nowMs) => [nameOf(object), list(object['spec']?.drivers).length, ageOf(object, nowMs)],
};

function validateCapacity(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const topology = object['nodeTopology'] as Json | null | undefined;
  if (isSet(topology)) errors.push(...validateLabelSelector(topology, rootPath.child('nodeTopology')));
  const className = text(object['storageClassName']);
  const at = rootPath.child('storageClassName');
  if (className === '') errors.push(...problems(at, className, nameIsDnsSubdomain(className, false)));
  else errors.push(...problems(at, className, nameIsDnsSubdomain(className, false)));
  for (const name of ['capacity'])
    if (isSet(object[name]) && quantitySign(object[name]) < 0)
      errors.push(
        fieldError.invalid(
          rootPath.child(name),
          quantityText(object[name]),
          'must be greater than or equal to 0',
        ),
      );
  return errors;
}

export const csiStorageCapacityStrategy: ResourceStrategy = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIStorageCapacity',
  revalidatesMetadata: true,
  resource: 'csistoragecapacities',
  allowUnconditionalUpdate: false,
  validate: validateCapacity,
  validateUpdate: (object, old) => [
    ...validateCapacity(object),
    ...immutable(object['nodeTopology'], old['nodeTopology'], rootPath.child('nodeTopology')),
    ...immutable(object['storageClassName'], old['storageClassName'], rootPath.child('storageClassName')),
  ],
  columns: columnsOf['storage.k8s.io/csistoragecapacities'] ?? [],
  cells: (object) => [nameOf(object), object.metadata.creationTimestamp],
};
