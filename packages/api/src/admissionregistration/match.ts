import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { celTypes } from '../cel/types.ts';
import { ensure, setDefault } from '../defaults/set.ts';
import { validateLabelSelector } from '../validation/meta.ts';
import { isDns1123Subdomain, isQualifiedName, isValidPortNumber } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf, problems, text } from '../validation/values.ts';
import { expressionErrors, policyEnvironment } from './policy-expressions.ts';

/** What webhooks and policies share: rules, match resources, client configuration. */

const scopes = ['*', 'Cluster', 'Namespaced'];
const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];

export function defaultRules(rules: unknown): void {
  for (const rule of list(rules) as Json[]) setDefault(rule, 'scope', '*');
}

export function defaultMatchResources(match: Json): void {
  setDefault(match, 'namespaceSelector', {});
  setDefault(match, 'objectSelector', {});
  setDefault(match, 'matchPolicy', 'Equivalent');
  defaultRules(match['resourceRules']);
  defaultRules(match['excludeResourceRules']);
}

export function defaultWebhook(webhook: Json): void {
  setDefault(webhook, 'failurePolicy', 'Fail');
  setDefault(webhook, 'matchPolicy', 'Equivalent');
  setDefault(webhook, 'namespaceSelector', {});
  setDefault(webhook, 'objectSelector', {});
  setDefault(webhook, 'timeoutSeconds', 10);
  const service = ensure(webhook, 'clientConfig')['service'] as Json | null | undefined;
  if (isSet(service)) setDefault(service, 'port', 443);
  defaultRules(webhook['rules']);
}

export function validateRule(rule: Json, path: FieldPath, allowSubresources = true): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, what] of [
    ['apiGroups', 'api groups'],
    ['apiVersions', 'api versions'],
    ['resources', ''],
  ] as const) {
    const values = list(rule[name]) as string[];
    const at = path.child(name);
    if (values.length === 0) errors.push(fieldError.required(at));
    if (name === 'resources') {
      errors.push(...validateResources(values, at, allowSubresources));
      continue;
    }
    if (values.length > 1 && values.includes('*'))
      errors.push(
        fieldError.invalid(
          at,
          values,
          `if '*' is present, must not specify other ${what === 'api groups' ? 'API groups' : 'API versions'}`,
        ),
      );
    if (name === 'apiVersions')
      values.forEach((value, index) => {
        if (value === '') errors.push(fieldError.required(at.index(index)));
      });
  }
  if (isSet(rule['scope'])) errors.push(...oneOf(path.child('scope'), rule['scope'], scopes));
  return errors;
}

function validateResources(
  values: readonly string[],
  path: FieldPath,
  allowSubresources: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  if (values.length > 1 && (values.includes('*/*') || (!allowSubresources && values.includes('*'))))
    errors.push(fieldError.invalid(path, values, "if '*/*' is present, must not specify other resources"));
  values.forEach((value, index) => {
    if (value === '') errors.push(fieldError.required(path.index(index)));
  });
  return errors;
}

export function validateOperations(values: readonly string[], path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (values.length === 0) errors.push(fieldError.required(path));
  if (values.length > 1 && values.includes('*'))
    errors.push(fieldError.invalid(path, values, "if '*' is present, must not specify other operations"));
  values.forEach((value, index) => errors.push(...oneOf(path.index(index), value, operations)));
  return errors;
}

export function validateMatchResources(match: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ['namespaceSelector', 'objectSelector']) {
    if (!isSet(match[name])) errors.push(fieldError.required(path.child(name)));
    else errors.push(...validateLabelSelector(match[name], path.child(name)));
  }
  for (const name of ['resourceRules', 'excludeResourceRules'])
    list(match[name]).forEach((rule: Json, index) => {
      const at = path.child(name).index(index);
      errors.push(...validateOperations(list(rule['operations']) as string[], at.child('operations')));
      errors.push(...validateRule(rule, at));
    });
  if (!isSet(match['matchPolicy'])) errors.push(fieldError.required(path.child('matchPolicy')));
  else errors.push(...oneOf(path.child('matchPolicy'), match['matchPolicy'], ['Equivalent', 'Exact']));
  return errors;
}

export function validateClientConfig(config: Json, path: FieldPath): FieldError[] {
  const url = config['url'] as string | null | undefined;
  const service = config['service'] as Json | null | undefined;
  if (isSet(url) === isSet(service))
    return [fieldError.required(path, 'exactly one of url or service is required')];
  if (isSet(url)) return validateUrl(url, path.child('url'));
  const errors: FieldError[] = [];
  const at = path.child('service');
  if (text(service?.['name']) === '') errors.push(fieldError.required(at.child('name')));
  if (text(service?.['namespace']) === '') errors.push(fieldError.required(at.child('namespace')));
  const port: number = service?.['port'] ?? 0;
  errors.push(
    ...problems(
      at.child('port'),
      port,
      isValidPortNumber(port).map((each) => `port is not valid: ${each}`),
    ),
  );
  const urlPath = service?.['path'] as string | null | undefined;
  if (isSet(urlPath)) errors.push(...validateUrlPath(urlPath, at.child('path')));
  return errors;
}

function validateUrlPath(value: string, path: FieldPath): FieldError[] {
  if (value === '' || value === '/') return [];
  if (value === '//') return [fieldError.invalid(path, value, 'segment[0] may not be empty')];
  const errors = value.startsWith('/') ? [] : [fieldError.invalid(path, value, "must start with a '/'")];
  const steps = (value.endsWith('/') ? value.slice(1, -1) : value.slice(1)).split('/');
  return [
    ...errors,
    ...steps.flatMap((step, index) =>
      step === ''
        ? [fieldError.invalid(path, value, `segment[${index}] may not be empty`)]
        : isDns1123Subdomain(step).map((each) =>
            fieldError.invalid(path, value, `segment[${index}]: ${each}`),
          ),
    ),
  ];
}

function validateUrl(value: string, path: FieldPath): FieldError[] {
  const form = '; desired format: https://host[/path]';
  const match =
    /^(?:([a-zA-Z][-+.a-zA-Z0-9]*):)?(?:\/\/(?:([^/@?#]*)@)?([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/.exec(value);
  if (match === null) return [fieldError.required(path, `url must be a valid URL${form}`)];
  const [, scheme = '', user, host = '', , query, fragment] = match;
  const errors: FieldError[] = [];
  if (scheme !== 'https')
    errors.push(fieldError.invalid(path, scheme, `'https' is the only allowed URL scheme${form}`));
  if (host === '') errors.push(fieldError.invalid(path, host, `host must be specified${form}`));
  if (user !== undefined)
    errors.push(fieldError.invalid(path, user, 'user information is not permitted in the URL'));
  if (fragment !== undefined && fragment.length > 1)
    errors.push(fieldError.invalid(path, fragment.slice(1), 'fragments are not permitted in the URL'));
  if (query !== undefined && query.length > 1)
    errors.push(fieldError.invalid(path, query.slice(1), 'query parameters are not permitted in the URL'));
  return errors;
}

/** matchConditions of a webhook or a policy; those of a policy with a paramKind may read `params`. */
export function validateMatchConditions(conditions: unknown, path: FieldPath, params = false): FieldError[] {
  const errors: FieldError[] = [];
  const all = list(conditions) as Json[];
  if (all.length > 64) errors.push(fieldError.tooMany(path, all.length, 64));
  const seen = new Set<string>();
  all.forEach((condition, index) => {
    const at = path.index(index);
    const name = text(condition['name']);
    const expression = text(condition['expression']).trim();
    if (expression === '') errors.push(fieldError.required(at.child('expression')));
    else
      errors.push(
        ...expressionErrors(
          policyEnvironment({ params, authorizer: true }),
          expression,
          [celTypes.bool],
          at.child('expression'),
        ),
      );
    if (name === '') errors.push(fieldError.required(at.child('name')));
    else {
      errors.push(...problems(at.child('name'), name, isQualifiedName(name)));
      if (seen.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
      seen.add(name);
    }
  });
  return errors;
}
