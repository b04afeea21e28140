import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, rootPath, startGeneration } from '../common.ts';
import { setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateLabelSelector } from '../validation/meta.ts';
import { isDns1035Label, isDns1123Subdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf, problems, text } from '../validation/values.ts';
import {
  defaultWebhook,
  validateClientConfig,
  validateMatchConditions,
  validateOperations,
  validateRule,
} from './match.ts';

function validateReviewVersions(webhook: Json, path: FieldPath): FieldError[] {
  const versions = list(webhook['admissionReviewVersions']) as string[];
  const at = path.child('admissionReviewVersions');
  if (versions.length === 0) return [fieldError.required(at, 'must specify one of v1, v1beta1')];
  const errors: FieldError[] = [];
  versions.forEach((version, index) => {
    if (versions.indexOf(version) !== index)
      errors.push(fieldError.invalid(at.index(index), version, 'duplicate version'));
    errors.push(...problems(at.index(index), version, isDns1035Label(version)));
  });
  if (!versions.some((version) => version === 'v1' || version === 'v1beta1'))
    errors.push(fieldError.invalid(at, versions, 'must include at least one of v1, v1beta1'));
  return errors;
}

function validateWebhook(webhook: Json, mutating: boolean, path: FieldPath): FieldError[] {
  const errors = isQualifiedWebhookName(text(webhook['name']), path.child('name'));
  errors.push(...validateReviewVersions(webhook, path));
  list(webhook['rules']).forEach((rule: Json, index) => {
    const at = path.child('rules').index(index);
    errors.push(...validateOperations(list(rule['operations']) as string[], at.child('operations')));
    errors.push(...validateRule(rule, at));
  });
  if (isSet(webhook['failurePolicy']))
    errors.push(...oneOf(path.child('failurePolicy'), webhook['failurePolicy'], ['Fail', 'Ignore']));
  if (isSet(webhook['matchPolicy']))
    errors.push(...oneOf(path.child('matchPolicy'), webhook['matchPolicy'], ['Equivalent', 'Exact']));
  const effects = webhook['sideEffects'] as string | null | undefined;
  if (!isSet(effects))
    errors.push(fieldError.required(path.child('sideEffects'), 'must specify one of None, NoneOnDryRun'));
  else errors.push(...oneOf(path.child('sideEffects'), effects, ['None', 'NoneOnDryRun']));
  const timeout = webhook['timeoutSeconds'] as number | null | undefined;
  if (isSet(timeout) && (timeout > 30 || timeout < 1))
    errors.push(
      fieldError.invalid(
        path.child('timeoutSeconds'),
        timeout,
        'the timeout value must be between 1 and 30 seconds',
      ),
    );
  errors.push(...validateLabelSelector(webhook['namespaceSelector'], path.child('namespaceSelector')));
  errors.push(...validateLabelSelector(webhook['objectSelector'], path.child('objectSelector')));
  errors.push(...validateClientConfig((webhook['clientConfig'] ?? {}) as Json, path.child('clientConfig')));
  if (mutating && isSet(webhook['reinvocationPolicy']))
    errors.push(
      ...oneOf(path.child('reinvocationPolicy'), webhook['reinvocationPolicy'], ['IfNeeded', 'Never']),
    );
  errors.push(...validateMatchConditions(webhook['matchConditions'], path.child('matchConditions')));
  return errors;
}

/** At least three labels: `a.example.com`. */
function isQualifiedWebhookName(name: string, path: FieldPath): FieldError[] {
  if (name === '') return [fieldError.required(path)];
  const found = isDns1123Subdomain(name);
  if (found.length > 0) return [fieldError.invalid(path, name, found.join(','))];
  return name.split('.').length < 3
    ? [fieldError.invalid(path, name, 'should be a domain with at least three segments separated by dots')]
    : [];
}

function validate(object: KubeObject, mutating: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  list(object['webhooks']).forEach((webhook: Json, index) => {
    const path = rootPath.child('webhooks').index(index);
    errors.push(...validateWebhook(webhook, mutating, path));
    const name = text(webhook['name']);
    if (names.has(name) && name !== '') errors.push(fieldError.duplicate(path.child('name'), name));
    names.add(name);
  });
  return errors;
}

function webhookStrategy(kind: string, resource: string, mutating: boolean): ResourceStrategy {
  return {
    group: 'admissionregistration.k8s.io',
    version: 'v1',
    kind,
    resource,
    allowUnconditionalUpdate: false,
    anyFinalizer: true,
    defaults(object) {
      for (const webhook of list(object['webhooks']) as Json[]) {
        defaultWebhook(webhook);
        if (mutating) setDefault(webhook, 'reinvocationPolicy', 'Never');
      }
    },
    prepareForCreate: startGeneration,
    validate: (object) => validate(object, mutating),
    prepareForUpdate(object, old) {
      bumpGeneration(object, old, 'webhooks');
    },
    validateUpdate: (object) => validate(object, mutating),
    columns: columnsOf[`admissionregistration.k8s.io/${resource}`] ?? [],
    cells: (object, nowMs) => [nameOf(object), list(object['webhooks']).length, ageOf(object, nowMs)],
  };
}

export const mutatingWebhookConfigurationStrategy = webhookStrategy(
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  true,
);
export const validatingWebhookConfigurationStrategy = webhookStrategy(
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
);
