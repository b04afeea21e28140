import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, parseApiVersion } from '@pilothouse/apimachinery';
import type { CelType } from '../cel/types.ts';
import { celTypes, listType } from '../cel/types.ts';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import { ensure, setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateLabelSelector } from '../validation/meta.ts';
import {
  isDns1035Label,
  isDns1123Subdomain,
  isQualifiedName,
  nameIsDnsSubdomain,
} from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf, problems, text } from '../validation/values.ts';
import { defaultMatchResources, validateMatchConditions, validateMatchResources } from './match.ts';
import type { PolicyNames } from './policy-expressions.ts';
import { expressionErrors, jsonPatchType, patchObjectType, policyEnvironment } from './policy-expressions.ts';

const group = 'admissionregistration.k8s.io';

function validateParamKind(kind: Json): FieldError[] {
  const path = specPath.child('paramKind');
  const errors: FieldError[] = [];
  const version = text(kind['apiVersion']);
  if (version === '') errors.push(fieldError.required(path.child('apiVersion')));
  else {
    const parsed = parseApiVersion(version);
    if (parsed === undefined)
      errors.push(
        fieldError.invalid(path.child('apiVersion'), version, `unexpected GroupVersion string: ${version}`),
      );
    else {
      if (parsed.group !== '')
        errors.push(...problems(path.child('apiVersion'), parsed.group, isDns1123Subdomain(parsed.group)));
      errors.push(...problems(path.child('apiVersion'), parsed.version, isDns1035Label(parsed.version)));
    }
  }
  const name = text(kind['kind']);
  if (name === '') errors.push(fieldError.required(path.child('kind')));
  else
    errors.push(
      ...problems(
        path.child('kind'),
        name,
        isDns1035Label(name.toLowerCase()).map(
          (each) => `may have mixed case, but should otherwise match: ${each}`,
        ),
      ),
    );
  return errors;
}

function validateShared(spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  if (!isSet(spec['failurePolicy'])) errors.push(fieldError.required(specPath.child('failurePolicy')));
  else errors.push(...oneOf(specPath.child('failurePolicy'), spec['failurePolicy'], ['Fail', 'Ignore']));
  if (isSet(spec['paramKind'])) errors.push(...validateParamKind(spec['paramKind'] as Json));
  const match = spec['matchConstraints'] as Json | null | undefined;
  if (!isSet(match)) errors.push(fieldError.required(specPath.child('matchConstraints')));
  else {
    errors.push(...validateMatchResources(match, specPath.child('matchConstraints')));
    if (list(match['resourceRules']).length === 0)
      errors.push(fieldError.required(specPath.child('matchConstraints', 'resourceRules')));
  }
  const params = isSet(spec['paramKind']);
  errors.push(...validateMatchConditions(spec['matchConditions'], specPath.child('matchConditions'), params));
  return errors;
}

/** Variables of a policy; each sees those before it. Their types are added to `types`. */
function validateVariables(spec: Json, types: Map<string, CelType>): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  list(spec['variables']).forEach((variable: Json, index) => {
    const at = specPath.child('variables').index(index);
    const name = text(variable['name']);
    if (name.trim() === '') errors.push(fieldError.required(at.child('name'), 'name is not specified'));
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name))
      errors.push(fieldError.invalid(at.child('name'), name, 'must be a valid CEL identifier'));
    if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    names.add(name);
    const expression = text(variable['expression']);
    if (expression.trim() === '') {
      errors.push(fieldError.required(at.child('expression'), 'expression is not specified'));
      return;
    }
    const environment = environmentOf(spec, types);
    const found = expressionErrors(environment, expression, [], at.child('expression'));
    errors.push(...found);
    types.set(name, found.length > 0 ? celTypes.dyn : environment.compile(expression).type);
  });
  return errors;
}

function environmentOf(spec: Json, variables: ReadonlyMap<string, CelType>, names: PolicyNames = {}) {
  return policyEnvironment({
    params: isSet(spec['paramKind']),
    authorizer: true,
    ...(list(spec['variables']).length > 0 ? { variables } : {}),
    ...names,
  });
}

const auditAnnotationsMax = 20;
const auditExpressionMax = 5 * 1024;

const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];

function validateValidating(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors = validateShared(spec);
  const types = new Map<string, CelType>();
  errors.push(...validateVariables(spec, types));
  const validations = list(spec['validations']) as Json[];
  const audits = list(spec['auditAnnotations']) as Json[];
  if (validations.length === 0 && audits.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item';
    errors.push(
      fieldError.required(specPath.child('validations'), `${detail}`),
      fieldError.required(specPath.child('auditAnnotations'), `${detail}`),
    );
  }
  validations.forEach((each, index) => {
    const at = specPath.child('validations').index(index);
    if (text(each['expression']).trim() === '')
      errors.push(fieldError.required(at.child('expression'), 'expression is not specified'));
    else
      errors.push(
        ...expressionErrors(
          environmentOf(spec, types),
          text(each['expression']),
          [celTypes.bool],
          at.child('expression'),
        ),
      );
    errors.push(...validateMessageExpression(spec, types, text(each['messageExpression']), at));
    const message = text(each['message']);
    if (message !== '' && message.trim() === '')
      errors.push(fieldError.invalid(at.child('message'), message, 'must be non-empty if specified'));
    else if (message.trim().includes('\n'))
      errors.push(fieldError.invalid(at.child('message'), message, 'must not contain line breaks'));
    if (isSet(each['reason'])) errors.push(...oneOf(at.child('reason'), each['reason'], reasons));
  });
  const keys = new Set<string>();
  if (audits.length > auditAnnotationsMax)
    errors.push(
      fieldError.invalid(
        specPath.child('auditAnnotations'),
        audits,
        `must not have more than ${auditAnnotationsMax} auditAnnotations`,
      ),
    );
  audits.forEach((each, index) => {
    const at = specPath.child('auditAnnotations').index(index);
    const key = text(each['key']);
    const name = text(object.metadata.name);
    if (name === '')
      errors.push(fieldError.invalid(at.child('key'), key, 'requires metadata.name be non-empty'));
    else errors.push(...problems(at.child('key'), `${name}/${key}`, isQualifiedName(`${name}/${key}`)));
    errors.push(...validateAuditExpression(spec, types, text(each['valueExpression']), at));
    if (keys.has(key)) errors.push(fieldError.duplicate(at.child('key'), key));
    keys.add(key);
  });
  return errors;
}

function validateMessageExpression(
  spec: Json,
  types: ReadonlyMap<string, CelType>,
  expression: string,
  at: FieldPath,
): FieldError[] {
  const path = at.child('messageExpression');
  if (expression === '') return [];
  if (expression.trim() === '')
    return [fieldError.invalid(path, expression, 'must be non-empty if specified')];
  const environment = environmentOf(spec, types, { authorizer: false });
  return expressionErrors(environment, expression, [celTypes.string], path);
}

function validateAuditExpression(
  spec: Json,
  types: ReadonlyMap<string, CelType>,
  expression: string,
  at: FieldPath,
): FieldError[] {
  const path = at.child('valueExpression');
  const trimmed = expression.trim();
  if (trimmed === '') return [fieldError.required(path, 'valueExpression is not specified')];
  if (trimmed.length > auditExpressionMax)
    return [fieldError.required(path, `must not exceed ${auditExpressionMax} bytes in length`)];
  return expressionErrors(
    environmentOf(spec, types),
    trimmed,
    [celTypes.string, celTypes.null],
    path,
    expression,
  );
}

/** The expression of a mutation, which must give a patch of the right kind. */
function validateMutationExpression(
  spec: Json,
  types: ReadonlyMap<string, CelType>,
  mutation: Json,
  result: CelType,
  at: FieldPath,
): FieldError[] {
  const expression = text(mutation['expression']).trim();
  const path = at.child('expression');
  if (expression === '') return [fieldError.required(path)];
  return expressionErrors(environmentOf(spec, types, { patches: true }), expression, [result], path);
}

function validateMutating(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors = validateShared(spec);
  const types = new Map<string, CelType>();
  errors.push(...validateVariables(spec, types));
  const mutations = list(spec['mutations']) as Json[];
  if (mutations.length === 0)
    errors.push(fieldError.required(specPath.child('mutations'), 'mutations must contain at least one item'));
  mutations.forEach((each, index) => {
    const at = specPath.child('mutations').index(index);
    switch (each['patchType']) {
      case 'ApplyConfiguration':
        if (!isSet(each['applyConfiguration']))
          errors.push(
            fieldError.required(
              at.child('applyConfiguration'),
              'must be specified when patchType is ApplyConfiguration',
            ),
          );
        else
          errors.push(
            ...validateMutationExpression(
              spec,
              types,
              each['applyConfiguration'] as Json,
              patchObjectType,
              at.child('applyConfiguration'),
            ),
          );
        if (isSet(each['jsonPatch']))
          errors.push(
            fieldError.invalid(
              at.child('jsonPatch'),
              '{jsonPatch}',
              'must not be specified when patchType is ApplyConfiguration',
            ),
          );
        break;
      case 'JSONPatch':
        if (!isSet(each['jsonPatch']))
          errors.push(
            fieldError.required(at.child('jsonPatch'), 'must be specified when patchType is JSONPatch'),
          );
        else
          errors.push(
            ...validateMutationExpression(
              spec,
              types,
              each['jsonPatch'] as Json,
              listType(jsonPatchType),
              at.child('jsonPatch'),
            ),
          );
        if (isSet(each['applyConfiguration']))
          errors.push(
            fieldError.invalid(
              at.child('applyConfiguration'),
              '{applyConfiguration}',
              'must not be specified when patchType is JSONPatch',
            ),
          );
        break;
      default:
        if (text(each['patchType']) === '') errors.push(fieldError.required(at.child('patchType')));
        else
          errors.push(
            fieldError.notSupported(at.child('patchType'), each['patchType'], [
              'ApplyConfiguration',
              'JSONPatch',
            ]),
          );
    }
  });
  if (text(spec['reinvocationPolicy']) === '')
    errors.push(fieldError.required(specPath.child('reinvocationPolicy')));
  else
    errors.push(
      ...oneOf(specPath.child('reinvocationPolicy'), spec['reinvocationPolicy'], ['IfNeeded', 'Never']),
    );
  return errors;
}

function validateBinding(object: KubeObject, validating: boolean): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const policy = text(spec['policyName']);
  if (policy === '') errors.push(fieldError.required(specPath.child('policyName')));
  else errors.push(...problems(specPath.child('policyName'), policy, nameIsDnsSubdomain(policy, false)));
  const ref = spec['paramRef'] as Json | null | undefined;
  if (isSet(ref)) {
    const path = specPath.child('paramRef');
    const name = text(ref['name']);
    if (name !== '') {
      errors.push(...problems(path.child('name'), name, nameIsDnsSubdomain(name, false)));
      if (isSet(ref['selector']))
        errors.push(fieldError.forbidden(path.child('name'), 'name and selector are mutually exclusive'));
    } else if (isSet(ref['selector']))
      errors.push(...validateLabelSelector(ref['selector'], path.child('selector')));
    else errors.push(fieldError.required(path, 'one of name or selector must be specified'));
    const action = ref['parameterNotFoundAction'] as string | null | undefined;
    if (!isSet(action)) errors.push(fieldError.required(path.child('parameterNotFoundAction')));
    else errors.push(...oneOf(path.child('parameterNotFoundAction'), action, ['Allow', 'Deny']));
  }
  if (isSet(spec['matchResources']))
    errors.push(...validateMatchResources(spec['matchResources'] as Json, specPath.child('matchResources')));
  if (validating) {
    const actions = list(spec['validationActions']) as string[];
    const path = specPath.child('validationActions');
    if (actions.length === 0)
      errors.push(fieldError.required(path, 'at least one validation action is required'));
    const seen = new Set<string>();
    actions.forEach((action, index) => {
      if (seen.has(action)) errors.push(fieldError.duplicate(path.index(index), action));
      else errors.push(...oneOf(path.index(index), action, ['Audit', 'Deny', 'Warn']));
      seen.add(action);
    });
    if (seen.has('Deny') && seen.has('Warn'))
      errors.push(
        fieldError.invalid(
          path,
          actions,
          'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
        ),
      );
  }
  return errors;
}

function policyDefaults(object: KubeObject): void {
  const spec = ensure(object, 'spec');
  setDefault(spec, 'failurePolicy', 'Fail');
  if (isSet(spec['matchConstraints'])) defaultMatchResources(spec['matchConstraints'] as Json);
}

function paramKindText(object: KubeObject): string {
  const kind = object['spec']?.paramKind as Json | null | undefined;
  return isSet(kind) ? `${text(kind['apiVersion'])}/${text(kind['kind'])}` : '<unset>';
}

/** As Go prints the struct. */
function selectorText(selector: Json): string {
  const labels = Object.entries((selector['matchLabels'] ?? {}) as Json)
    .sort()
    .map(([key, value]) => `${key}: ${String(value)},`);
  const expressions = (list(selector['matchExpressions']) as Json[]).map(
    (each) =>
      `LabelSelectorRequirement{Key:${text(each['key'])},Operator:${text(each['operator'])},Values:[${list(each['values']).join(' ')}],},`,
  );
  return `&LabelSelector{MatchLabels:map[string]string{${labels.join('')}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join('')}},}`;
}

function paramRefText(object: KubeObject): string {
  const ref = object['spec']?.paramRef as Json | null | undefined;
  if (!isSet(ref)) return '<unset>';
  if (text(ref['name']) === '')
    return isSet(ref['selector']) ? selectorText(ref['selector'] as Json) : '<unset>';
  return text(ref['namespace']) === ''
    ? `*/${text(ref['name'])}`
    : `${text(ref['namespace'])}/${text(ref['name'])}`;
}

function policyStrategy(
  kind: string,
  resource: string,
  rules: 'validations' | 'mutations',
  validate: (object: KubeObject) => FieldError[],
): ResourceStrategy {
  return {
    group,
    version: 'v1',
    kind,
    resource,
    allowUnconditionalUpdate: false,
    anyFinalizer: true,
    resetFields: rules === 'validations' ? ['status'] : [],
    defaults: policyDefaults,
    prepareForCreate(object) {
      if (rules === 'validations') object['status'] = {};
      startGeneration(object);
    },
    validate,
    prepareForUpdate(object, old) {
      if (rules === 'validations') restore(object, old, 'status');
      bumpGeneration(object, old);
    },
    validateUpdate: validate,
    ...(rules === 'validations'
      ? { subresources: { status: statusHooks(undefined, { keepMeta: true }) } }
      : {}),
    columns: columnsOf[`${group}/${resource}`] ?? [],
    cells: (object, nowMs) => [
      nameOf(object),
      list(object['spec']?.[rules]).length,
      paramKindText(object),
      ageOf(object, nowMs),
    ],
  };
}

function bindingStrategy(kind: string, resource: string, validating: boolean): ResourceStrategy {
  return {
    group,
    version: 'v1',
    kind,
    resource,
    allowUnconditionalUpdate: false,
    anyFinalizer: true,
    defaults(object) {
      const match = object['spec']?.matchResources as Json | null | undefined;
      if (isSet(match)) defaultMatchResources(match);
    },
    prepareForCreate: startGeneration,
    validate: (object) => validateBinding(object, validating),
    prepareForUpdate(object, old) {
      bumpGeneration(object, old);
    },
    validateUpdate: (object) => validateBinding(object, validating),
    columns: columnsOf[`${group}/${resource}`] ?? [],
    cells: (object, nowMs) => [
      nameOf(object),
      text(object['spec']?.policyName),
      paramRefText(object),
      ageOf(object, nowMs),
    ],
  };
}

export const policyStrategies: readonly ResourceStrategy[] = [
  policyStrategy('MutatingAdmissionPolicy', 'mutatingadmissionpolicies', 'mutations', validateMutating),
  bindingStrategy('MutatingAdmissionPolicyBinding', 'mutatingadmissionpolicybindings', false),
  policyStrategy(
    'ValidatingAdmissionPolicy',
    'validatingadmissionpolicies',
    'validations',
    validateValidating,
  ),
  bindingStrategy('ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings', true),
];
