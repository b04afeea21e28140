import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, groupKindString, parseApiVersion } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf, orNone } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { immutable, isSet, nonNegative } from '../validation/values.ts';

function validate(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  if (!isSet(object['data'])) errors.push(fieldError.required(rootPath.child('data'), 'data is mandatory'));
  errors.push(...nonNegative(object['revision'], rootPath.child('revision')));
  return errors;
}

/** `Kind.group/name` of the controlling owner, with the kind in lower case. */
function controllerOf(object: KubeObject): string {
  const owner = (object.metadata.ownerReferences ?? []).find((each) => each.controller === true);
  if (owner === undefined) return '';
  const group = parseApiVersion(owner.apiVersion)?.group ?? '';
  return `${groupKindString({ group, kind: owner.kind.toLowerCase() })}/${owner.name}`;
}

export const controllerRevisionStrategy: ResourceStrategy = {
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  revalidatesMetadata: true,
  resource: 'controllerrevisions',
  validate,
  validateUpdate: (object, old) => [
    ...validate(object),
    ...immutable(object['data'], old['data'], rootPath.child('data')),
  ],
  columns: columnsOf['apps/controllerrevisions'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    orNone(controllerOf(object)),
    object['revision'] ?? 0,
    ageOf(object, nowMs),
  ],
};
