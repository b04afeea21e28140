import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, isValidPathSegmentName, nameIsPathSegment } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { nameIsDnsSubdomain } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { list, text } from '../validation/values.ts';

const rbacGroup = 'rbac.authorization.k8s.io';

function defaults(object: KubeObject): void {
  const reference = object['roleRef'] as Json | undefined;
  if (reference && text(reference['apiGroup']) === '') reference['apiGroup'] = rbacGroup;
  for (const subject of list(object['subjects']) as Json[]) {
    if (text(subject['apiGroup']) !== '') continue;
    if (subject['kind'] === 'User' || subject['kind'] === 'Group') subject['apiGroup'] = rbacGroup;
    else if (subject['kind'] === 'ServiceAccount') delete subject['apiGroup'];
  }
}

function validateSubject(subject: Json, namespaced: boolean, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const name = text(subject['name']);
  if (name === '') errors.push(fieldError.required(path.child('name')));
  switch (subject['kind']) {
    case 'ServiceAccount':
      if (name !== '')
        errors.push(
          ...nameIsDnsSubdomain(name, false).map((each) =>
            fieldError.invalid(path.child('name'), name, each),
          ),
        );
      if (text(subject['apiGroup']) !== '')
        errors.push(fieldError.notSupported(path.child('apiGroup'), subject['apiGroup'], ['']));
      if (!namespaced && text(subject['namespace']) === '')
        errors.push(fieldError.required(path.child('namespace')));
      break;
    case 'User':
    case 'Group':
      if (text(subject['apiGroup']) !== rbacGroup)
        errors.push(fieldError.notSupported(path.child('apiGroup'), subject['apiGroup'], [rbacGroup]));
      break;
    default:
      errors.push(
        fieldError.notSupported(path.child('kind'), text(subject['kind']), [
          'ServiceAccount',
          'User',
          'Group',
        ]),
      );
  }
  return errors;
}

function validate(object: KubeObject, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const reference = (object['roleRef'] ?? {}) as Json;
  const path = rootPath.child('roleRef');
  if (text(reference['apiGroup']) !== rbacGroup)
    errors.push(fieldError.notSupported(path.child('apiGroup'), text(reference['apiGroup']), [rbacGroup]));
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(text(reference['kind'])))
    errors.push(fieldError.notSupported(path.child('kind'), text(reference['kind']), kinds));
  const name = text(reference['name']);
  if (name === '') errors.push(fieldError.required(path.child('name')));
  else
    errors.push(
      ...isValidPathSegmentName(name).map((each) => fieldError.invalid(path.child('name'), name, each)),
    );
  for (const [index, subject] of list(object['subjects']).entries())
    errors.push(...validateSubject(subject as Json, namespaced, rootPath.child('subjects').index(index)));
  return errors;
}

function validateUpdate(object: KubeObject, old: KubeObject, namespaced: boolean): FieldError[] {
  const errors = validate(object, namespaced);
  const same = ['apiGroup', 'kind', 'name'].every(
    (field) => text(object['roleRef']?.[field]) === text(old['roleRef']?.[field]),
  );
  if (!same)
    errors.push(fieldError.invalid(rootPath.child('roleRef'), object['roleRef'], 'cannot change roleRef'));
  return errors;
}

function cells(object: KubeObject, nowMs: number): unknown[] {
  const subjects = list(object['subjects']) as Json[];
  const named = (kind: string): string =>
    subjects
      .filter((each) => each['kind'] === kind)
      .map((each) =>
        kind === 'ServiceAccount' ? `${text(each['namespace'])}/${text(each['name'])}` : text(each['name']),
      )
      .join(', ');
  return [
    nameOf(object),
    `${text(object['roleRef']?.kind)}/${text(object['roleRef']?.name)}`,
    ageOf(object, nowMs),
    named('User'),
    named('Group'),
    named('ServiceAccount'),
  ];
}

export const roleBindingStrategy: ResourceStrategy = {
  group: rbacGroup,
  version: 'v1',
  kind: 'RoleBinding',
  resource: 'rolebindings',
  allowCreateOnUpdate: true,
  validateName: nameIsPathSegment,
  defaults,
  validate: (object) => validate(object, true),
  validateUpdate: (object, old) => validateUpdate(object, old, true),
  columns: columnsOf[`${rbacGroup}/rolebindings`] ?? [],
  cells,
};

export const clusterRoleBindingStrategy: ResourceStrategy = {
  group: rbacGroup,
  version: 'v1',
  kind: 'ClusterRoleBinding',
  resource: 'clusterrolebindings',
  allowCreateOnUpdate: true,
  validateName: nameIsPathSegment,
  defaults,
  validate: (object) => validate(object, false),
  validateUpdate: (object, old) => validateUpdate(object, old, false),
  columns: columnsOf[`${rbacGroup}/clusterrolebindings`] ?? [],
  cells,
};
