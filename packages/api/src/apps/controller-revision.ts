import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, groupKindString, parseApiVersion } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf, orNone } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { immutable, isSet, nonNegative } from '../validation/values.ts';

const dataPath = rootPath.child('data');

const validateRevision = (object: KubeObject): FieldError[] =>
  nonNegative(object['revision'], rootPath.child('revision'));

function validateData(data: unknown): FieldError[] {
  if (!isSet(data)) return [fieldError.required(dataPath, 'data is mandatory')];
  return typeof data === 'object' && !Array.isArray(data)
    ? []
    : [fieldError.required(dataPath, 'data must be a valid JSON object')];
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
  validate: (object) => [...validateRevision(object), ...validateData(object['data'])],
  validateUpdate: (object, old) => [
    ...validateRevision(object),
    ...immutable(object['data'], old['data'], dataPath),
  ],
  columns: columnsOf['apps/controllerrevisions'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    orNone(controllerOf(object)),
    object['revision'] ?? 0,
    ageOf(object, nowMs),
  ],
};
