import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateLabelSelector } from '../validation/meta.ts';
import { nameIsPathSegment } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list } from '../validation/values.ts';
import { validatePolicyRule } from './rules.ts';

const validateRules = (object: KubeObject, namespaced: boolean): FieldError[] =>
  list(object['rules']).flatMap((rule: Json, index) =>
    validatePolicyRule(rule, namespaced, rootPath.child('rules').index(index)),
  );

function validateClusterRole(object: KubeObject): FieldError[] {
  const errors = validateRules(object, false);
  const aggregation = object['aggregationRule'] as Json | null | undefined;
  if (!isSet(aggregation)) return errors;
  const path = rootPath.child('aggregationRule', 'clusterRoleSelectors');
  const selectors = list(aggregation['clusterRoleSelectors']) as Json[];
  if (selectors.length === 0)
    errors.push(
      fieldError.required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil'),
    );
  selectors.forEach((selector, index) => {
    const found = validateLabelSelector(selector, path.index(index));
    errors.push(...found);
    if (found.length > 0) errors.push(fieldError.invalid(path.index(index), null, 'invalid label selector.'));
  });
  return errors;
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
  validate: validateClusterRole,
  validateUpdate: validateClusterRole,
  columns: columnsOf['rbac.authorization.k8s.io/clusterroles'] ?? [],
  cells: (object) => [nameOf(object), object.metadata.creationTimestamp],
};
