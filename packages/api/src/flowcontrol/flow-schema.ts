import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import { ensure, setZeroDefault } from '../defaults/set.ts';
import { validateConditionTypes } from './conditions.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isDns1123Label, nameIsDnsSubdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, problems, text } from '../validation/values.ts';
import { validateMandatorySchema } from './mandatory.ts';

const precedenceMax = 10_000;
const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];

function validateServiceAccount(account: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const name = text(account['name']);
  const namespace = text(account['namespace']);
  if (name !== '' && name !== '*')
    errors.push(...problems(path.child('name'), name, nameIsDnsSubdomain(name, false)));
  if (namespace === '')
    errors.push(fieldError.required(path.child('namespace'), 'must specify namespace for service account'));
  else errors.push(...problems(path.child('namespace'), namespace, isDns1123Label(namespace)));
  return errors;
}

function validateUrl(url: string, path: FieldPath): FieldError[] {
  const invalid = (told: string): FieldError[] => [fieldError.invalid(path, url, told)];
  if (url === '') return invalid('must not be empty');
  if (url === '/') return [];
  if (!url.startsWith('/')) return invalid('must start with slash');
  if (url.includes(' ')) return invalid('must not contain white-space');
  if (url.includes('//')) return invalid('must not contain double slash');
  const wildcards = url.split('*').length - 1;
  if (wildcards > 1 || (wildcards === 1 && !url.endsWith('/*')))
    return invalid('wildcard can only do suffix matching');
  return [];
}

function validateSubject(subject: Json, path: FieldPath): FieldError[] {
  const kinds: Readonly<Record<string, string>> = {
    User: 'user',
    Group: 'group',
    ServiceAccount: 'serviceAccount',
  };
  const kind = text(subject['kind']);
  const member = kinds[kind];
  const errors: FieldError[] = [];
  if (member === undefined)
    return [fieldError.notSupported(path.child('kind'), kind, ['Group', 'ServiceAccount', 'User'])];
  if (!isSet(subject[member]))
    errors.push(
      fieldError.required(path.child(member), `${member} is required when subject kind is '${kind}'`),
    );
  else {
    if (text(subject[member].name) === '') errors.push(fieldError.required(path.child(member, 'name')));
    if (member === 'serviceAccount')
      errors.push(...validateServiceAccount(subject[member] as Json, path.child(member)));
  }
  for (const [otherKind, other] of Object.entries(kinds))
    if (other !== member && isSet(subject[other]))
      errors.push(
        fieldError.forbidden(
          path.child(other),
          `${other} is forbidden when subject kind is not '${otherKind}'`,
        ),
      );
  return errors;
}

const hasWildcard = (values: readonly string[]): boolean => values.includes('*');

function wildcardAlone(values: readonly string[], path: FieldPath, what: string): FieldError[] {
  return values.length > 1 && hasWildcard(values)
    ? [fieldError.invalid(path, values, `if '*' is present, must not specify other ${what}`)]
    : [];
}

function validateVerbs(values: readonly string[], path: FieldPath): FieldError[] {
  if (values.length === 0) return [fieldError.required(path, 'verbs must contain at least one value')];
  if (values.length > 1 && hasWildcard(values)) return wildcardAlone(values, path, 'verbs');
  return values.some((verb) => verb !== '*' && !verbs.includes(verb))
    ? [{ ...fieldError.notSupported(path, values, verbs) }]
    : [];
}

function validateResourceRule(rule: Json, path: FieldPath): FieldError[] {
  const errors = validateVerbs(list(rule['verbs']) as string[], path.child('verbs'));
  for (const [name, what, one] of [
    ['apiGroups', 'api groups', 'api group'],
    ['resources', 'resources', 'resource'],
  ] as const) {
    const values = list(rule[name]) as string[];
    if (values.length === 0)
      errors.push(fieldError.required(path.child(name), `resource rules must supply at least one ${one}`));
    else errors.push(...wildcardAlone(values, path.child(name), what));
  }
  const namespaces = list(rule['namespaces']) as string[];
  if (namespaces.length === 0 && rule['clusterScope'] !== true)
    errors.push(
      fieldError.required(
        path.child('namespaces'),
        'resource rules that are not cluster scoped must supply at least one namespace',
      ),
    );
  else if (hasWildcard(namespaces) && namespaces.length > 1)
    errors.push(
      fieldError.invalid(
        path.child('namespaces'),
        namespaces,
        "if '*' is present, must not specify other namespaces",
      ),
    );
  else if (!hasWildcard(namespaces))
    namespaces.forEach((namespace, index) =>
      errors.push(
        ...isDns1123Label(namespace).map((told) =>
          fieldError.invalid(
            path.child('namespaces').index(index),
            namespace,
            `each member of this list must be '*' or a DNS-1123 label; ${told}`,
          ),
        ),
      ),
    );
  return errors;
}

function validateRule(rule: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const subjects = list(rule['subjects']) as Json[];
  if (subjects.length === 0)
    errors.push(fieldError.required(path.child('subjects'), 'subjects must contain at least one value'));
  subjects.forEach((subject, index) =>
    errors.push(...validateSubject(subject, path.child('subjects').index(index))),
  );
  const resources = list(rule['resourceRules']) as Json[];
  const nonResources = list(rule['nonResourceRules']) as Json[];
  if (resources.length === 0 && nonResources.length === 0)
    errors.push(
      fieldError.required(path, 'at least one of resourceRules and nonResourceRules has to be non-empty'),
    );
  resources.forEach((each, index) =>
    errors.push(...validateResourceRule(each, path.child('resourceRules').index(index))),
  );
  nonResources.forEach((each, index) => {
    const at = path.child('nonResourceRules').index(index);
    errors.push(...validateVerbs(list(each['verbs']) as string[], at.child('verbs')));
    const urls = list(each['nonResourceURLs']) as string[];
    const urlsPath = at.child('nonResourceURLs');
    if (urls.length === 0)
      errors.push(fieldError.required(urlsPath, 'nonResourceURLs must contain at least one value'));
    else if (hasWildcard(urls)) errors.push(...wildcardAlone(urls, urlsPath, 'non-resource URLs'));
    else urls.forEach((url, position) => errors.push(...validateUrl(url, urlsPath.index(position))));
  });
  return errors;
}

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const precedence: number = spec['matchingPrecedence'] ?? 0;
  const path = specPath.child('matchingPrecedence');
  if (precedence <= 0) errors.push(fieldError.invalid(path, precedence, 'must be a positive value'));
  if (precedence > precedenceMax)
    errors.push(fieldError.invalid(path, precedence, `must not be greater than ${precedenceMax}`));
  if (precedence === 1 && nameOf(object) !== 'exempt')
    errors.push(
      fieldError.invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"),
    );
  const method = spec['distinguisherMethod'] as Json | null | undefined;
  if (isSet(method))
    if (!['ByNamespace', 'ByUser'].includes(text(method['type'])))
      errors.push({
        type: 'FieldValueNotSupported',
        field: specPath.child('distinguisherMethod', 'type').text,
        message: `Unsupported value: ${JSON.stringify({ Type: text(method['type']) })}: supported values: "ByNamespace", "ByUser"`,
      });
  const level = text(spec['priorityLevelConfiguration']?.name);
  const at = specPath.child('priorityLevelConfiguration', 'name');
  if (level === '') errors.push(fieldError.required(at, 'must reference a priority level'));
  else errors.push(...problems(at, level, nameIsDnsSubdomain(level, false)));
  list(spec['rules']).forEach((rule: Json, index) =>
    errors.push(...validateRule(rule, specPath.child('rules').index(index))),
  );
  errors.push(...validateMandatorySchema(nameOf(object), spec));
  return errors;
}

export const flowSchemaStrategy: ResourceStrategy = {
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'FlowSchema',
  revalidatesMetadata: true,
  resource: 'flowschemas',
  resetFields: ['status'],
  defaults(object) {
    setZeroDefault(ensure(object, 'spec'), 'matchingPrecedence', 1000);
  },
  prepareForCreate(object) {
    object['status'] = {};
    startGeneration(object);
  },
  validate,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: validate,
  subresources: { status: statusHooks(validateConditionTypes, { keepMeta: 'all' }) },
  columns: columnsOf['flowcontrol.apiserver.k8s.io/flowschemas'] ?? [],
  compareRows(one, two) {
    const precedence = (object: KubeObject): number => (object['spec']?.matchingPrecedence as number) ?? 0;
    return precedence(one) - precedence(two) || (nameOf(one) < nameOf(two) ? -1 : 1);
  },
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const dangling = (list(object['status']?.conditions) as Json[]).find(
      (each) => each['type'] === 'Dangling',
    );
    return [
      nameOf(object),
      text(spec['priorityLevelConfiguration']?.name),
      spec['matchingPrecedence'] ?? 0,
      isSet(spec['distinguisherMethod']) ? text(spec['distinguisherMethod'].type) : '<none>',
      ageOf(object, nowMs),
      dangling === undefined ? '?' : text(dangling['status']),
    ];
  },
};
