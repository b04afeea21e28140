import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { list } from '../validation/values.ts';

/** One rule of a Role (`namespaced`) or ClusterRole. */
export function validatePolicyRule(rule: Json, namespaced: boolean, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (list(rule['verbs']).length === 0)
    errors.push(fieldError.required(path.child('verbs'), 'verbs must contain at least one value'));
  if (list(rule['nonResourceURLs']).length > 0) {
    if (namespaced)
      errors.push(
        fieldError.invalid(
          path.child('nonResourceURLs'),
          rule['nonResourceURLs'],
          'namespaced rules cannot apply to non-resource URLs',
        ),
      );
    if (
      list(rule['apiGroups']).length > 0 ||
      list(rule['resources']).length > 0 ||
      list(rule['resourceNames']).length > 0
    )
      errors.push(
        fieldError.invalid(
          path.child('nonResourceURLs'),
          rule['nonResourceURLs'],
          'rules cannot apply to both regular resources and non-resource URLs',
        ),
      );
    return errors;
  }
  if (list(rule['apiGroups']).length === 0)
    errors.push(
      fieldError.required(path.child('apiGroups'), 'resource rules must supply at least one api group'),
    );
  if (list(rule['resources']).length === 0)
    errors.push(
      fieldError.required(path.child('resources'), 'resource rules must supply at least one resource'),
    );
  return errors;
}
