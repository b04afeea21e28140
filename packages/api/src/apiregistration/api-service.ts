import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import {
  fieldError,
  goQuote,
  isDns1035Label,
  isDns1123Subdomain,
  nameIsPathSegment,
} from '@pilothouse/apimachinery';
import { keepLabels, rootPath, statusPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isValidPortNumber } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf, text } from '../validation/values.ts';

function defaults(object: KubeObject): void {
  const service = object['spec']?.service as Json | null | undefined;
  if (service && !isSet(service['port'])) service['port'] = 443;
}

function validate(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = (object['spec'] ?? {}) as Json;
  const path = rootPath.child('spec');
  const group = text(spec['group']);
  const version = text(spec['version']);
  const wanted = `${version}.${group}`;
  for (const member of ['generateName', 'name'] as const) {
    const name = text(object.metadata[member]);
    if (name !== '' && name !== wanted && nameIsPathSegment(name, false).length === 0)
      errors.push(
        fieldError.invalid(
          rootPath.child('metadata', member),
          name,
          `must be \`spec.version+"."+spec.group\`: ${goQuote(wanted)}`,
        ),
      );
  }
  if (group === '') {
    if (version !== 'v1')
      errors.push(
        fieldError.required(
          path.child('group'),
          'only v1 may have an empty group and it better be legacy kube',
        ),
      );
  } else
    errors.push(
      ...isDns1123Subdomain(group).map((each) => fieldError.invalid(path.child('group'), group, each)),
    );
  errors.push(
    ...isDns1035Label(version).map((each) => fieldError.invalid(path.child('version'), version, each)),
  );
  const minimum = Number(spec['groupPriorityMinimum'] ?? 0);
  // Core APIs alone stand above 20000, so that no extension can be listed before them.
  if (minimum <= 0 || (minimum > 20_000 && isSet(spec['service'])))
    errors.push(
      fieldError.invalid(path.child('groupPriorityMinimum'), minimum, 'must be positive and less than 20000'),
    );
  const priority = Number(spec['versionPriority'] ?? 0);
  if (priority <= 0 || priority > 1000)
    errors.push(
      fieldError.invalid(path.child('versionPriority'), priority, 'must be positive and less than 1000'),
    );
  const service = spec['service'] as Json | null | undefined;
  if (!isSet(service)) {
    if (isSet(spec['caBundle']) && text(spec['caBundle']) !== '')
      errors.push(
        fieldError.invalid(
          path.child('caBundle'),
          `${text(spec['caBundle']).length} bytes`,
          'local APIServices may not have a caBundle',
        ),
      );
    if (spec['insecureSkipTLSVerify'] === true)
      errors.push(
        fieldError.invalid(
          path.child('insecureSkipTLSVerify'),
          true,
          'local APIServices may not have insecureSkipTLSVerify',
        ),
      );
    return errors;
  }
  if (text(service?.['namespace']) === '')
    errors.push(fieldError.required(path.child('service', 'namespace')));
  if (text(service?.['name']) === '') errors.push(fieldError.required(path.child('service', 'name')));
  const port: unknown = service?.['port'] ?? 443;
  errors.push(
    ...isValidPortNumber(port as number).map((told) =>
      fieldError.invalid(path.child('service', 'port'), port, `port is not valid: ${told}`),
    ),
  );
  if (spec['insecureSkipTLSVerify'] === true && text(spec['caBundle']) !== '')
    errors.push(
      fieldError.invalid(path.child('insecureSkipTLSVerify'), true, 'may not be true if caBundle is present'),
    );
  return errors;
}

function validateStatus(object: KubeObject): FieldError[] {
  const path = statusPath.child('conditions');
  return (list(object['status']?.conditions) as Json[]).flatMap((condition, index) =>
    oneOf(path.index(index).child('status'), condition['status'], ['True', 'False', 'Unknown']),
  );
}

export const apiServiceStrategy: ResourceStrategy = {
  group: 'apiregistration.k8s.io',
  version: 'v1',
  kind: 'APIService',
  resource: 'apiservices',
  resetFields: ['status'],
  anyFinalizer: true,
  allowUnconditionalUpdate: false,
  validateName: nameIsPathSegment,
  defaults,
  prepareForCreate(object, context) {
    object['status'] = {};
    if (!isSet(object['spec']?.service)) {
      object['status'] = {
        conditions: [
          {
            type: 'Available',
            status: 'True',
            lastTransitionTime: context.now,
            reason: 'Local',
            message: 'Local APIServices are always available',
          },
        ],
      };
    }
  },
  validate,
  prepareForUpdate(object, old) {
    object['status'] = old['status'];
  },
  validateUpdate: validate,
  subresources: {
    status: {
      resetFields: ['spec', 'metadata'],
      prepareForUpdate(object, old) {
        object['spec'] = old['spec'];
        keepLabels(object, old);
      },
      validateUpdate: validateStatus,
    },
  },
  columns: columnsOf['apiregistration.k8s.io/apiservices'] ?? [],
  cells(object, nowMs) {
    const service = object['spec']?.service as Json | null | undefined;
    const available = (list(object['status']?.conditions) as Json[]).find(
      (each) => each['type'] === 'Available',
    );
    const status =
      available === undefined
        ? 'Unknown'
        : available['status'] === 'True'
          ? 'True'
          : `${text(available['status'])} (${text(available['reason'])})`;
    return [
      nameOf(object),
      isSet(service) ? `${text(service?.['namespace'])}/${text(service?.['name'])}` : 'Local',
      status,
      ageOf(object, nowMs),
    ];
  },
};
