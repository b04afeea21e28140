import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import { setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateLabelName } from '../validation/meta.ts';
import { isQualifiedName } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import {
  entries,
  immutable,
  isSet,
  list,
  oneOf,
  problems,
  semanticEqual,
  text,
} from '../validation/values.ts';

function validateProvisioner(name: string, path = rootPath.child('provisioner')): FieldError[] {
  if (name === '') return [fieldError.required(path)];
  return problems(path, name.toLowerCase(), isQualifiedName(name.toLowerCase()));
}

function validateParameters(parameters: unknown): FieldError[] {
  const path = rootPath.child('parameters');
  const all = entries(parameters);
  if (all.length > 512) return [fieldError.tooLong(path, 512)];
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of all) {
    if (key === '') errors.push(fieldError.invalid(path, key, 'field can not be empty.'));
    size += key.length + text(value).length;
  }
  if (size > 256 * 1024) errors.push(fieldError.tooLong(path, 256 * 1024));
  return errors;
}

/** What a term asks for: sorted values by key. */
const topologyValues = (term: Json): Json =>
  Object.fromEntries(
    (list(term['matchLabelExpressions']) as Json[]).map((each) => [
      text(each['key']),
      [...new Set(list(each['values']) as string[])].sort(),
    ]),
  );

function validateTopologies(topologies: unknown): FieldError[] {
  const terms = list(topologies) as Json[];
  return terms.flatMap((term, index) => {
    const at = rootPath.child('allowedTopologies').index(index).child('matchLabelExpressions');
    const keys = new Set<string>();
    const told = topologyValues(term);
    const repeated = terms
      .slice(0, index)
      .filter((other) => semanticEqual(topologyValues(other), told))
      .map(() => fieldError.duplicate(at, ''));
    // An empty term is the same as none, of which upstream starts with as many as there are terms.
    if (Object.keys(told).length === 0) repeated.unshift(...terms.map(() => fieldError.duplicate(at, '')));
    const own = list(term['matchLabelExpressions']).flatMap((expression: Json, expressionIndex) => {
      const path = at.index(expressionIndex);
      const errors: FieldError[] = [];
      const values = list(expression['values']) as string[];
      if (values.length === 0) errors.push(fieldError.required(path.child('values')));
      values.forEach((value, valueIndex) => {
        if (values.indexOf(value) !== valueIndex)
          errors.push(fieldError.duplicate(path.child('values').index(valueIndex), value));
      });
      const key = text(expression['key']);
      errors.push(...validateLabelName(key, path.child('key')));
      if (keys.has(key)) errors.push(fieldError.duplicate(path.child('key'), key));
      keys.add(key);
      return errors;
    });
    return [...own, ...repeated];
  });
}

function validate(object: KubeObject): FieldError[] {
  const errors = validateProvisioner(text(object['provisioner']));
  errors.push(...validateParameters(object['parameters']));
  if (text(object['reclaimPolicy']) !== '')
    errors.push(...oneOf(rootPath.child('reclaimPolicy'), object['reclaimPolicy'], ['Delete', 'Retain']));
  const mode = object['volumeBindingMode'] as string | null | undefined;
  if (!isSet(mode)) errors.push(fieldError.required(rootPath.child('volumeBindingMode')));
  else
    errors.push(...oneOf(rootPath.child('volumeBindingMode'), mode, ['Immediate', 'WaitForFirstConsumer']));
  errors.push(...validateTopologies(object['allowedTopologies']));
  return errors;
}

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  return [
    ...immutable(object['parameters'], old['parameters'], rootPath.child('parameters')),
    ...immutable(object['provisioner'], old['provisioner'], rootPath.child('provisioner')),
    ...immutable(object['reclaimPolicy'], old['reclaimPolicy'], rootPath.child('reclaimPolicy')),
    ...immutable(object['volumeBindingMode'], old['volumeBindingMode'], rootPath.child('volumeBindingMode')),
  ];
}

const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

function warnings(object: KubeObject): string[] {
  return list(object['allowedTopologies']).flatMap((term: Json, index) =>
    list(term['matchLabelExpressions']).flatMap((expression: Json, expressionIndex) => {
      const renamed: Readonly<Record<string, string>> = {
        'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
        'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
      };
      const key = text(expression['key']);
      return renamed[key] === undefined
        ? []
        : [
            `allowedTopologies[${index}].matchLabelExpressions[${expressionIndex}].key: deprecated since v1.17; use "${renamed[key]}" instead`,
          ];
    }),
  );
}

export const storageClassStrategy: ResourceStrategy = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  revalidatesMetadata: true,
  resource: 'storageclasses',
  defaults(object) {
    setDefault(object, 'reclaimPolicy', 'Delete');
    setDefault(object, 'volumeBindingMode', 'Immediate');
  },
  validate,
  warningsOnCreate: warnings,
  validateUpdate: (object, old) => [...validate(object), ...validateChange(object, old)],
  warningsOnUpdate: warnings,
  columns: columnsOf['storage.k8s.io/storageclasses'] ?? [],
  cells(object, nowMs) {
    const isDefault = defaultAnnotations.some((each) => object.metadata.annotations?.[each] === 'true');
    return [
      isDefault ? `${nameOf(object)} (default)` : nameOf(object),
      text(object['provisioner']),
      isSet(object['reclaimPolicy']) ? text(object['reclaimPolicy']) : 'Delete',
      isSet(object['volumeBindingMode']) ? text(object['volumeBindingMode']) : '<unset>',
      object['allowVolumeExpansion'] === true,
      ageOf(object, nowMs),
    ];
  },
};

function validateAttributesClass(object: KubeObject): FieldError[] {
  return [
    ...validateProvisioner(text(object['driverName']), rootPath.child('driverName')),
    ...(entries(object['parameters']).length === 0
      ? [fieldError.required(rootPath.child('parameters'), 'must contain at least one key/value pair')]
      : validateParameters(object['parameters'])),
  ];
}

export const volumeAttributesClassStrategy: ResourceStrategy = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'VolumeAttributesClass',
  revalidatesMetadata: true,
  resource: 'volumeattributesclasses',
  validate: validateAttributesClass,
  validateUpdate(object, old) {
    const errors = validateAttributesClass(object);
    for (const field of ['driverName', 'parameters'])
      if (!semanticEqual(object[field], old[field]))
        errors.push(fieldError.forbidden(rootPath.child(field), `updates to ${field} are forbidden.`));
    return errors;
  },
  columns: columnsOf['storage.k8s.io/volumeattributesclasses'] ?? [],
  cells: (object, nowMs) => [nameOf(object), text(object['driverName']), ageOf(object, nowMs)],
};
