import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { keepGeneration, restore, specPath, statusHooks, statusPath } from '../common.ts';
import { roundResourceList } from '../defaults/pod-spec.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { quantityText } from '../validation/quantities.ts';
import { validateQuotaResourceName, validateResourceQuantity } from '../validation/resources.ts';
import type { Json } from '../validation/values.ts';
import { entries, immutable, list, semanticEqual, text } from '../validation/values.ts';
import { fieldErrorsOfHard } from './resource-quota-hard.ts';

const scopes = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];
const conflicts: readonly (readonly [string, string])[] = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
];
const podCompute = new Set([
  'pods',
  'cpu',
  'memory',
  'requests.cpu',
  'requests.memory',
  'limits.cpu',
  'limits.memory',
]);
/** Names that quota knows by itself; scopes are compared with these only. */
const standardNames = new Set([
  ...podCompute,
  'ephemeral-storage',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.ephemeral-storage',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
]);
const isStandard = (name: string): boolean =>
  standardNames.has(name) || name.startsWith('hugepages-') || name.startsWith('requests.hugepages-');

/** Whether a scope says anything about a resource. */
function scopeApplies(scope: string, resource: string): boolean {
  switch (scope) {
    case 'BestEffort':
      return resource === 'pods';
    case 'VolumeAttributesClass':
      return resource === 'persistentvolumeclaims' || resource === 'requests.storage';
    default:
      return !scopes.includes(scope) || podCompute.has(resource);
  }
}

function validateScopes(spec: Json): FieldError[] {
  const asked = list(spec['scopes']) as string[];
  if (asked.length === 0) return [];
  const errors: FieldError[] = [];
  const path = specPath.child('scopes');
  const hard = entries(spec['hard']).map(([name]) => name);
  for (const scope of asked) {
    if (!scopes.includes(scope)) {
      errors.push(fieldError.invalid(path, asked, 'unsupported scope'));
    }
    for (const name of hard)
      if (isStandard(name) && !scopeApplies(scope, name))
        errors.push(fieldError.invalid(path, asked, 'unsupported scope applied to resource'));
  }
  for (const [one, two] of conflicts)
    if (asked.includes(one) && asked.includes(two))
      errors.push(fieldError.invalid(path, asked, 'conflicting scopes'));
  return errors;
}

const shownSelector = (selector: Json): unknown => ({
  MatchExpressions: (list(selector['matchExpressions']) as Json[]).map((each) => ({
    ScopeName: text(each['scopeName']),
    Operator: text(each['operator']),
    Values: (each['values'] as unknown) ?? null,
  })),
});

function validateScopeSelector(spec: Json): FieldError[] {
  const selector = spec['scopeSelector'] as Json | null | undefined;
  if (selector === null || selector === undefined) return [];
  const errors: FieldError[] = [];
  const path = specPath.child('scopeSelector', 'matchExpressions');
  for (const requirement of list(selector['matchExpressions']) as Json[]) {
    const scope = text(requirement['scopeName']);
    const values = list(requirement['values']);
    const operator = text(requirement['operator']);
    if (!scopes.includes(scope))
      errors.push(fieldError.invalid(path.child('scopeName'), scope, 'unsupported scope'));
    for (const [name] of entries(spec['hard']))
      if (isStandard(name) && !scopeApplies(scope, name))
        errors.push(
          fieldError.invalid(path, shownSelector(selector), 'unsupported scope applied to resource'),
        );
    if (
      !['PriorityClass', 'VolumeAttributesClass'].includes(scope) &&
      scopes.includes(scope) &&
      operator !== 'Exists'
    )
      errors.push(
        fieldError.invalid(
          path.child('operator'),
          operator,
          "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        ),
      );
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0)
          errors.push(
            fieldError.required(
              path.child('values'),
              "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
          );
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length !== 0)
          errors.push(
            fieldError.invalid(
              path.child('values'),
              values,
              "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            ),
          );
        break;
      default:
        errors.push(fieldError.invalid(path.child('operator'), operator, 'not a valid selector operator'));
    }
  }
  const named = (list(selector['matchExpressions']) as Json[]).map((each) => text(each['scopeName']));
  for (const [one, two] of conflicts)
    if (named.includes(one) && named.includes(two))
      errors.push(fieldError.invalid(path, spec['scopes'] ?? null, 'conflicting scopes'));
  return errors;
}

function validateSpec(spec: Json): FieldError[] {
  return [
    ...fieldErrorsOfHard(spec['hard'], specPath.child('hard')),
    ...validateScopes(spec),
    ...validateScopeSelector(spec),
  ];
}

function validateStatus(object: KubeObject): FieldError[] {
  const status = (object['status'] ?? {}) as Json;
  return ['hard', 'used'].flatMap((field) =>
    entries(status[field]).flatMap(([name, value]) => [
      ...validateQuotaResourceName(name, statusPath.child(field).key(name)),
      ...validateResourceQuantity(name, value, statusPath.child(field).key(name)),
    ]),
  );
}

export const resourceQuotaStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'ResourceQuota',
  resource: 'resourcequotas',
  resetFields: ['status'],
  defaults(object) {
    roundResourceList(object['spec']?.hard);
    roundResourceList(object['status']?.hard);
    roundResourceList(object['status']?.used);
  },
  prepareForCreate(object) {
    object['status'] = {};
  },
  validate: (object) => validateSpec((object['spec'] ?? {}) as Json),
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    keepGeneration(object, old);
  },
  validateUpdate(object, old) {
    const errors = validateSpec((object['spec'] ?? {}) as Json);
    const sorted = (value: unknown): string[] => [...(list(value) as string[])].sort();
    if (!semanticEqual(sorted(object['spec']?.scopes), sorted(old['spec']?.scopes)))
      errors.push(...immutable(object['spec']?.scopes, old['spec']?.scopes, specPath.child('scopes')));
    return errors;
  },
  subresources: { status: statusHooks(validateStatus) },
  columns: columnsOf['/resourcequotas'] ?? [],
  cells(object, nowMs) {
    const status = (object['status'] ?? {}) as Json;
    const requests: string[] = [];
    const limits: string[] = [];
    for (const [name, hard] of entries(status['hard'])) {
      const line = `${name}: ${quantityText(status['used']?.[name] ?? '0')}/${quantityText(hard)}`;
      (name.startsWith('limits') ? limits : requests).push(line);
    }
    return [nameOf(object), requests.join(', '), limits.join(', '), ageOf(object, nowMs)];
  },
};
