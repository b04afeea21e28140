import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, specPath, startGeneration } from '../common.ts';
import { setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { byteLength, isDns1123Label, isDns1123Subdomain, nameIsPathSegment } from '../validation/names.ts';
import { validateDomainPrefixedPath } from '../validation/domain-prefixed-path.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, problems, text } from '../validation/values.ts';

function validateController(controller: string): FieldError[] {
  const path = specPath.child('controller');
  return [
    ...(byteLength(controller) > 250 ? [fieldError.tooLong(path, 250)] : []),
    ...validateDomainPrefixedPath(controller, path),
  ];
}

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const controller = text(spec['controller']);
  const errors = validateController(controller);
  const parameters = spec['parameters'] as Json | null | undefined;
  if (!isSet(parameters)) return errors;
  const path = specPath.child('parameters');
  for (const name of ['kind', 'name']) {
    const value = text(parameters[name]);
    if (value === '') errors.push(fieldError.required(path.child(name)));
    else errors.push(...problems(path.child(name), value, nameIsPathSegment(value, false)));
  }
  if (isSet(parameters['apiGroup']))
    errors.unshift(
      ...problems(
        path.child('apiGroup'),
        parameters['apiGroup'],
        isDns1123Subdomain(text(parameters['apiGroup'])),
      ),
    );
  const namespaceSet = (parameters['namespace'] ?? undefined) as string | undefined;
  const scope = text(parameters['scope']);
  if (scope !== 'Cluster' && scope !== 'Namespace')
    errors.push(fieldError.notSupported(path.child('scope'), scope, ['Cluster', 'Namespace']));
  else if (scope === 'Namespace' && namespaceSet === undefined)
    errors.push(fieldError.required(path.child('namespace'), "`parameters.scope` is set to 'Namespace'"));
  else if (scope === 'Namespace')
    errors.push(...problems(path.child('namespace'), namespaceSet, isDns1123Label(text(namespaceSet))));
  else if (namespaceSet !== undefined)
    errors.push(fieldError.forbidden(path.child('namespace'), "`parameters.scope` is set to 'Cluster'"));
  return errors;
}

function parametersText(object: KubeObject): string {
  const parameters = object['spec']?.parameters as Json | null | undefined;
  if (!isSet(parameters)) return '<none>';
  const group = text(parameters['apiGroup']);
  return `${text(parameters['kind'])}${group === '' ? '' : `.${group}`}/${text(parameters['name'])}`;
}

export const ingressClassStrategy: ResourceStrategy = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IngressClass',
  revalidatesMetadata: true,
  resource: 'ingressclasses',
  defaults(object) {
    const parameters = object['spec']?.parameters as Json | null | undefined;
    if (isSet(parameters)) setDefault(parameters, 'scope', 'Cluster');
  },
  prepareForCreate: startGeneration,
  validate,
  prepareForUpdate(object, old) {
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...immutable(
      text(object['spec']?.controller),
      text(old['spec']?.controller),
      specPath.child('controller'),
    ),
    ...validate(object),
  ],
  columns: columnsOf['networking.k8s.io/ingressclasses'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    text(object['spec']?.controller),
    parametersText(object),
    ageOf(object, nowMs),
  ],
};
