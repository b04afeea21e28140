import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import { ensure, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { nameIsDnsSubdomain, nameIsPathSegment } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { list, problems, semanticEqual, text } from '../validation/values.ts';

const group = 'rbac.authorization.k8s.io';

function defaults(object: KubeObject): void {
  setZeroDefault(ensure(object, 'roleRef'), 'apiGroup', group);
  for (const subject of list(object['subjects']) as Json[])
    if (subject['kind'] !== 'ServiceAccount') setZeroDefault(subject, 'apiGroup', group);
}

function validateSubject(subject: Json, namespaced: boolean, index: number): FieldError[] {
  const path = rootPath.child('subjects').index(index);
  const errors: FieldError[] = [];
  const name = text(subject['name']);
  const apiGroup = text(subject['apiGroup']);
  if (name === '') errors.push(fieldError.required(path.child('name')));
  switch (subject['kind']) {
    case 'ServiceAccount':
      if (name !== '') errors.push(...problems(path.child('name'), name, nameIsDnsSubdomain(name, false)));
      if (apiGroup !== '') errors.push(fieldError.notSupported(path.child('apiGroup'), apiGroup, ['']));
      if (!namespaced && text(subject['namespace']) === '')
        errors.push(fieldError.required(path.child('namespace')));
      break;
    case 'User':
    case 'Group':
      if (apiGroup !== group) errors.push(fieldError.notSupported(path.child('apiGroup'), apiGroup, [group]));
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

function validateBinding(object: KubeObject, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const ref = (object['roleRef'] ?? {}) as Json;
  const path = rootPath.child('roleRef');
  if (ref['apiGroup'] !== group)
    errors.push(fieldError.notSupported(path.child('apiGroup'), text(ref['apiGroup']), [group]));
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(text(ref['kind'])))
    errors.push(fieldError.notSupported(path.child('kind'), text(ref['kind']), kinds));
  const name = text(ref['name']);
  if (name === '') errors.push(fieldError.required(path.child('name')));
  else errors.push(...problems(path.child('name'), name, nameIsPathSegment(name, false)));
  list(object['subjects']).forEach((subject: Json, index) => {
    errors.push(...validateSubject(subject, namespaced, index));
  });
  return errors;
}

const internalRef = (ref: Json): Json => ({
  APIGroup: text(ref['apiGroup']),
  Kind: text(ref['kind']),
  Name: text(ref['name']),
});

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  return semanticEqual(object['roleRef'], old['roleRef'])
    ? []
    : [
        fieldError.invalid(
          rootPath.child('roleRef'),
          internalRef((object['roleRef'] ?? {}) as Json),
          'cannot change roleRef',
        ),
      ];
}

function subjectsText(object: KubeObject): [users: string, groups: string, accounts: string] {
  const of = (kind: string): Json[] =>
    (list(object['subjects']) as Json[]).filter((subject) => subject['kind'] === kind);
  return [
    of('User')
      .map((each) => text(each['name']))
      .join(', '),
    of('Group')
      .map((each) => text(each['name']))
      .join(', '),
    of('ServiceAccount')
      .map((each) =>
        text(each['namespace']) === ''
          ? text(each['name'])
          : `${text(each['namespace'])}/${text(each['name'])}`,
      )
      .join(', '),
  ];
}

function cells(object: KubeObject, nowMs: number): unknown[] {
  const ref = (object['roleRef'] ?? {}) as Json;
  return [
    nameOf(object),
    `${text(ref['kind'])}/${text(ref['name'])}`,
    ageOf(object, nowMs),
    ...subjectsText(object),
  ];
}

function bindingStrategy(kind: string, resource: string, namespaced: boolean): ResourceStrategy {
  return {
    group,
    version: 'v1',
    kind,
    resource,
    allowCreateOnUpdate: true,
    validateName: nameIsPathSegment,
    defaults,
    validate: (object) => validateBinding(object, namespaced),
    validateUpdate: (object, old) => [...validateBinding(object, namespaced), ...validateChange(object, old)],
    columns: columnsOf[`${group}/${resource}`] ?? [],
    cells,
  };
}

export const roleBindingStrategy = bindingStrategy('RoleBinding', 'rolebindings', true);
export const clusterRoleBindingStrategy = bindingStrategy('ClusterRoleBinding', 'clusterrolebindings', false);
