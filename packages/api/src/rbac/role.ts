import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, nameIsPathSegment, validateLabelSelector } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list } from '../validation/values.ts';
import { validateRule } from './rules.ts';

const validateRules = (object: KubeObject, namespaced: boolean): FieldError[] =>
  list(object['rules']).flatMap((rule, index) =>
    validateRule(rule as Json, namespaced, rootPath.child('rules').index(index)),
  );

function validateAggregation(object: KubeObject): FieldError[] {
  const rule = object['aggregationRule'] as Json | undefined;
  if (!isSet(rule)) return [];
  const path = rootPath.child('aggregationRule', 'clusterRoleSelectors');
  const selectors = list(rule?.['clusterRoleSelectors']);
  if (selectors.length === 0)
    return [
      fieldError.required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil'),
    ];
  return selectors.flatMap((selector, index) => {
    const errors = validateLabelSelector(
      selector as Parameters<typeof validateLabelSelector>[0],
      path.index(index),
    );
    return errors.length === 0
      ? []
      : [...errors, fieldError.invalid(path.index(index), null, 'invalid label selector.')];
  });
}

export const roleStrategy: ResourceStrategy = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'Role',
  resource: 'roles',
  allowCreateOnUpdate: true,
  validateName: nameIsPathSegment,
  validate: (object) => validateRules(object, true),
  validateUpdate: (object) => validateRules(object, true),
  columns: columnsOf['rbac.authorization.k8s.io/roles'] ?? [],
  cells: (object) => [nameOf(object), object.metadata.creationTimestamp],
};

export const clusterRoleStrategy: ResourceStrategy = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'ClusterRole',
  resource: 'clusterroles',
  allowCreateOnUpdate: true,
  validateName: nameIsPathSegment,
  validate: (object) => [...validateRules(object, false), ...validateAggregation(object)],
  validateUpdate: (object) => [...validateRules(object, false), ...validateAggregation(object)],
  columns: columnsOf['rbac.authorization.k8s.io/clusterroles'] ?? [],
  cells: (object) => [nameOf(object), object.metadata.creationTimestamp],
};
