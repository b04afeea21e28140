import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { validateLabelName, validateLabelSelector } from './meta.ts';
import { isValidLabelValue, nameIsDnsLabel, nameIsDnsSubdomain } from './names.ts';
import type { Json } from './values.ts';
import { isSet, list, oneOf, problems, text } from './values.ts';

export function validateNodeSelectorRequirement(requirement: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const values = list(requirement['values']);
  switch (requirement['operator']) {
    case 'In':
    case 'NotIn':
      if (values.length === 0)
        errors.push(
          fieldError.required(path.child('values'), "must be specified when `operator` is 'In' or 'NotIn'"),
        );
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0)
        errors.push(
          fieldError.forbidden(
            path.child('values'),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
          ),
        );
      break;
    case 'Gt':
    case 'Lt':
      if (values.length !== 1)
        errors.push(
          fieldError.required(
            path.child('values'),
            "must be specified single value when `operator` is 'Lt' or 'Gt'",
          ),
        );
      break;
    default:
      errors.push(
        fieldError.invalid(
          path.child('operator'),
          text(requirement['operator']),
          'not a valid selector operator',
        ),
      );
  }
  errors.push(...validateLabelName(text(requirement['key']), path.child('key')));
  return errors;
}

function validateFieldRequirement(requirement: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const values = list(requirement['values']);
  switch (requirement['operator']) {
    case 'In':
    case 'NotIn':
      if (values.length !== 1)
        errors.push(
          fieldError.required(
            path.child('values'),
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
          ),
        );
      break;
    default:
      errors.push(
        fieldError.invalid(
          path.child('operator'),
          text(requirement['operator']),
          'not a valid selector operator',
        ),
      );
  }
  const key = text(requirement['key']);
  if (key === 'metadata.name')
    values.forEach((value, index) => {
      errors.push(
        ...problems(path.child('values').index(index), value, nameIsDnsSubdomain(text(value), false)),
      );
    });
  else errors.push(fieldError.invalid(path.child('key'), key, 'not a valid field selector key'));
  return errors;
}

export function validateNodeSelectorTerm(term: Json, path: FieldPath): FieldError[] {
  return [
    ...list(term['matchExpressions']).flatMap((each: Json, index) => {
      const at = path.child('matchExpressions').index(index);
      const errors = validateNodeSelectorRequirement(each, at);
      list(each['values']).forEach((value, valueIndex) => {
        errors.push(...problems(at.child('values').index(valueIndex), value, isValidLabelValue(text(value))));
      });
      return errors;
    }),
    ...list(term['matchFields']).flatMap((each: Json, index) =>
      validateFieldRequirement(each, path.child('matchFields').index(index)),
    ),
  ];
}

export function validateNodeSelector(selector: Json, path: FieldPath): FieldError[] {
  const terms = list(selector['nodeSelectorTerms']);
  const at = path.child('nodeSelectorTerms');
  if (terms.length === 0) return [fieldError.required(at, 'must have at least one node selector term')];
  return terms.flatMap((term: Json, index) => validateNodeSelectorTerm(term, at.index(index)));
}

function weightError(weight: unknown, path: FieldPath): FieldError[] {
  const value = typeof weight === 'number' ? weight : 0;
  return value <= 0 || value > 100 ? [fieldError.invalid(path, value, 'must be in the range 1-100')] : [];
}

const requiredName = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferredName = 'preferredDuringSchedulingIgnoredDuringExecution';

function validateNodeAffinity(affinity: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (isSet(affinity[requiredName]))
    errors.push(...validateNodeSelector(affinity[requiredName] as Json, path.child(requiredName)));
  list(affinity[preferredName]).forEach((term: Json, index) => {
    const at = path.child(preferredName).index(index);
    errors.push(...weightError(term['weight'], at.child('weight')));
    errors.push(...validateNodeSelectorTerm((term['preference'] ?? {}) as Json, at.child('preference')));
  });
  return errors;
}

function validatePodAffinityTerm(term: Json, path: FieldPath): FieldError[] {
  const errors = validateLabelSelector(term['labelSelector'], path.child('labelSelector'));
  errors.push(...validateLabelSelector(term['namespaceSelector'], path.child('namespaceSelector')));
  list(term['namespaces']).forEach((name) => {
    errors.push(...problems(path.child('namespace'), name, nameIsDnsLabel(text(name), false)));
  });
  errors.push(...validateMatchLabelKeys(term, path));
  const topologyKey = text(term['topologyKey']);
  if (topologyKey === '') errors.push(fieldError.required(path.child('topologyKey'), 'can not be empty'));
  errors.push(...validateLabelName(topologyKey, path.child('topologyKey')));
  return errors;
}

function validateMatchLabelKeys(term: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const match = list(term['matchLabelKeys']) as string[];
  const mismatch = list(term['mismatchLabelKeys']) as string[];
  for (const [name, keys] of [
    ['matchLabelKeys', match],
    ['mismatchLabelKeys', mismatch],
  ] as const) {
    if (keys.length === 0) continue;
    if (!isSet(term['labelSelector'])) {
      errors.push(
        fieldError.forbidden(path.child(name), 'must not be specified when labelSelector is not set'),
      );
      continue;
    }
    keys.forEach((key, index) => {
      errors.push(...validateLabelName(key, path.child(name).index(index)));
    });
  }
  match.forEach((key, index) => {
    if (mismatch.includes(key))
      errors.push(
        fieldError.invalid(
          path.child('matchLabelKeys').index(index),
          key,
          'exists in both matchLabelKeys and mismatchLabelKeys',
        ),
      );
  });
  return errors;
}

function validatePodAffinity(affinity: Json, path: FieldPath): FieldError[] {
  return [
    ...list(affinity[requiredName]).flatMap((term: Json, index) =>
      validatePodAffinityTerm(term, path.child(requiredName).index(index)),
    ),
    ...list(affinity[preferredName]).flatMap((term: Json, index) => {
      const at = path.child(preferredName).index(index);
      return [
        ...weightError(term['weight'], at.child('weight')),
        ...validatePodAffinityTerm((term['podAffinityTerm'] ?? {}) as Json, at.child('podAffinityTerm')),
      ];
    }),
  ];
}

export function validateAffinity(affinity: Json | null | undefined, path: FieldPath): FieldError[] {
  if (!isSet(affinity)) return [];
  const errors: FieldError[] = [];
  if (isSet(affinity['nodeAffinity']))
    errors.push(...validateNodeAffinity(affinity['nodeAffinity'] as Json, path.child('nodeAffinity')));
  if (isSet(affinity['podAffinity']))
    errors.push(...validatePodAffinity(affinity['podAffinity'] as Json, path.child('podAffinity')));
  if (isSet(affinity['podAntiAffinity']))
    errors.push(...validatePodAffinity(affinity['podAntiAffinity'] as Json, path.child('podAntiAffinity')));
  return errors;
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateTolerations(tolerations: unknown, path: FieldPath): FieldError[] {
  return list(tolerations).flatMap((toleration: Json, index) =>
    validateToleration(toleration, path.index(index)),
  );
}

function validateToleration(toleration: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const key = text(toleration['key']);
  const operator = text(toleration['operator']);
  const value = text(toleration['value']);
  const effect = text(toleration['effect']);
  if (key !== '') errors.push(...validateLabelName(key, path.child('key')));
  if (key === '' && operator !== 'Exists')
    errors.push(
      fieldError.invalid(
        path.child('operator'),
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ),
    );
  if (isSet(toleration['tolerationSeconds']) && effect !== 'NoExecute')
    errors.push(
      fieldError.invalid(
        path.child('effect'),
        effect,
        "effect must be 'NoExecute' when `tolerationSeconds` is set",
      ),
    );
  switch (operator) {
    case 'Equal':
    case '':
      errors.push(...problems(path.child('operator'), value, isValidLabelValue(value)));
      break;
    case 'Exists':
      if (value !== '')
        errors.push(
          fieldError.invalid(
            path.child('operator'),
            value,
            "value must be empty when `operator` is 'Exists'",
          ),
        );
      break;
    case 'Lt':
    case 'Gt':
      // Told as if they were supported, though a gate that is off keeps them out.
      errors.push(fieldError.notSupported(path.child('operator'), operator, ['Equal', 'Exists', 'Lt', 'Gt']));
      break;
    default:
      errors.push(fieldError.notSupported(path.child('operator'), operator, ['Equal', 'Exists']));
  }
  if (effect !== '') errors.push(...oneOf(path.child('effect'), effect, effects));
  return errors;
}

const inclusionPolicies = ['Honor', 'Ignore'];

export function validateTopologySpread(constraints: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const all = list(constraints) as Json[];
  all.forEach((constraint, index) => {
    const at = path.index(index);
    const skew: number = constraint['maxSkew'] ?? 0;
    if (skew <= 0) errors.push(fieldError.invalid(at.child('maxSkew'), skew, 'must be greater than zero'));
    const key = text(constraint['topologyKey']);
    if (key === '') errors.push(fieldError.required(at.child('topologyKey'), 'can not be empty'));
    const when = text(constraint['whenUnsatisfiable']);
    errors.push(...oneOf(at.child('whenUnsatisfiable'), when, ['DoNotSchedule', 'ScheduleAnyway']));
    for (const other of all.slice(index + 1))
      if (text(other['topologyKey']) === key && text(other['whenUnsatisfiable']) === when) {
        errors.push(fieldError.duplicate(at.child('{topologyKey, whenUnsatisfiable}'), `{${key}, ${when}}`));
        break;
      }
    const minDomains: unknown = constraint['minDomains'];
    if (typeof minDomains === 'number') {
      if (minDomains <= 0)
        errors.push(fieldError.invalid(at.child('minDomains'), minDomains, 'must be greater than zero'));
      if (when !== 'DoNotSchedule')
        errors.push(
          fieldError.invalid(
            at.child('minDomains'),
            minDomains,
            `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${when}`,
          ),
        );
    }
    for (const name of ['nodeAffinityPolicy', 'nodeTaintsPolicy'])
      if (isSet(constraint[name])) errors.push(...oneOf(at.child(name), constraint[name], inclusionPolicies));
    const keys = list(constraint['matchLabelKeys']) as string[];
    if (keys.length > 0) {
      if (!isSet(constraint['labelSelector']))
        errors.push(
          fieldError.forbidden(
            at.child('matchLabelKeys'),
            'must not be specified when labelSelector is not set',
          ),
        );
      keys.forEach((each, keyIndex) => {
        errors.push(...validateLabelName(each, at.child('matchLabelKeys').index(keyIndex)));
      });
    }
    errors.push(...validateLabelSelector(constraint['labelSelector'], at.child('labelSelector')));
  });
  return errors;
}
