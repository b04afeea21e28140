import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import {
  bumpGeneration,
  metadataPath,
  restore,
  specPath,
  startGeneration,
  statusHooks,
  statusPath,
} from '../common.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateClientConfig } from '../admissionregistration/match.ts';
import { isDns1035Label, isDns1123Subdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, list, oneOf, semanticEqual, text } from '../validation/values.ts';
import { validateSchemaRules } from './cel/validate-rules.ts';
import type { JsonSchema } from './schema.ts';
import { formatWarnings } from './format-warnings.ts';
import { validateRootWithStatus } from './root-schema.ts';
import { validateSchema } from './structural-schema.ts';
import { validatePrinterColumns, validateSelectableFields, validateSubresources } from './version-parts.ts';

const versionParts = ['schema', 'subresources', 'additionalPrinterColumns', 'selectableFields'] as const;
type VersionPart = (typeof versionParts)[number];

const specOf = (object: KubeObject): Json => (object['spec'] ?? {}) as Json;
const versionsOf = (spec: Json): Json[] => list(spec['versions']) as Json[];

/** Upstream keeps a part that all versions share at the top, and messages name it there. */
function isShared(spec: Json, part: VersionPart): boolean {
  const versions = versionsOf(spec);
  return (
    versions.length > 0 && versions.every((version) => semanticEqual(version[part], versions[0]?.[part]))
  );
}

const goNames: Readonly<Record<VersionPart, string>> = {
  schema: 'Schema',
  subresources: 'Subresources',
  additionalPrinterColumns: 'AdditionalPrinterColumns',
  selectableFields: 'SelectableFields',
};

function internalVersions(spec: Json): unknown {
  if (!isSet(spec['versions'])) return null;
  return versionsOf(spec).map((version) => ({
    Name: text(version['name']),
    Served: version['served'] === true,
    Storage: version['storage'] === true,
    Deprecated: version['deprecated'] === true,
    DeprecationWarning: (version['deprecationWarning'] ?? null) as unknown,
    ...Object.fromEntries(
      versionParts.map((part) => [
        goNames[part],
        isShared(spec, part) ? null : ((version[part] ?? null) as unknown),
      ]),
    ),
  }));
}

function validateVersions(spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  const versions = versionsOf(spec);
  const path = specPath.child('versions');
  const names = new Set<string>();
  let unique = true;
  let storage = 0;
  versions.forEach((version, index) => {
    const at = path.index(index);
    const name = text(version['name']);
    if (version['storage'] === true) storage += 1;
    if (names.has(name)) unique = false;
    names.add(name);
    const found = isDns1035Label(name);
    if (found.length > 0) errors.push(fieldError.invalid(at.child('name'), name, found.join(',')));
    const warning = version['deprecationWarning'] as string | null | undefined;
    if (isSet(warning)) {
      const where = at.child('deprecationWarning');
      if (version['deprecated'] !== true)
        errors.push(fieldError.invalid(where, warning, 'can only be set for deprecated versions'));
      if (warning === '') errors.push(fieldError.invalid(where, warning, 'must be non-empty if present'));
      if (warning.length > 256)
        errors.push(fieldError.invalid(where, warning, 'must be <= 256 characters long'));
    }
    if (!isSet(version['schema']?.openAPIV3Schema))
      errors.push(fieldError.required(at.child('schema', 'openAPIV3Schema')));
  });
  if (!unique)
    errors.push(fieldError.invalid(path, internalVersions(spec), 'must contain unique version names'));
  if (storage !== 1)
    errors.push(
      fieldError.invalid(
        path,
        internalVersions(spec),
        'must have exactly one version marked as storage version',
      ),
    );
  const first = text(versions[0]?.['name']);
  if (first !== '') {
    const found = isDns1035Label(first);
    if (found.length > 0) errors.push(fieldError.invalid(specPath.child('version'), first, found.join(',')));
  }
  return errors;
}

/** Rules are compiled only where the schema around them makes sense. */
function rulesOf(schema: JsonSchema, path: FieldPath, before: JsonSchema | undefined): FieldError[] {
  return validateSchemaRules(schema, path, before);
}

/** Calls a rule for a part at the place where upstream keeps it. */
function eachPart(
  spec: Json,
  part: VersionPart,
  rule: (value: Json, path: FieldPath, version: Json) => FieldError[],
  shared: FieldPath,
  own: (path: FieldPath) => FieldPath,
): FieldError[] {
  const versions = versionsOf(spec);
  const [first] = versions;
  if (first === undefined) return [];
  if (isShared(spec, part)) return isSet(first[part]) ? rule(first[part] as Json, shared, first) : [];
  return versions.flatMap((version, index) =>
    isSet(version[part])
      ? rule(version[part] as Json, own(specPath.child('versions').index(index)), version)
      : [],
  );
}

function validateParts(spec: Json, before: Json | undefined): FieldError[] {
  const schemaOf = (value: Json, path: FieldPath, version: Json): FieldError[] => {
    if (!isSet(value['openAPIV3Schema'])) return [];
    const at = path.child('openAPIV3Schema');
    const hasStatus = (each: Json): boolean =>
      isSet((each['subresources'] as Json | null | undefined)?.['status']);
    const isWithStatus = isShared(spec, 'schema') ? versionsOf(spec).some(hasStatus) : hasStatus(version);
    const errors = isWithStatus ? validateRootWithStatus(value['openAPIV3Schema'] as Json, at) : [];
    errors.push(...validateSchema(value['openAPIV3Schema'] as Json, at));
    if (errors.length > 0) return errors;
    const stored = versionsOf(before ?? {}).find((each) => each['name'] === version['name']);
    return rulesOf(
      value['openAPIV3Schema'] as JsonSchema,
      at,
      stored?.['schema']?.openAPIV3Schema as JsonSchema | undefined,
    );
  };
  return [
    ...eachPart(spec, 'schema', schemaOf, specPath.child('validation'), (path) => path.child('schema')),
    ...eachPart(spec, 'subresources', validateSubresources, specPath.child('subresources'), (path) =>
      path.child('subresources'),
    ),
    ...eachPart(
      spec,
      'additionalPrinterColumns',
      validatePrinterColumns,
      specPath.child('additionalPrinterColumns'),
      (path) => path.child('additionalPrinterColumns'),
    ),
    ...eachPart(
      spec,
      'selectableFields',
      validateSelectableFields,
      specPath.child('selectableFields'),
      (path) => path.child('selectableFields'),
    ),
  ];
}

function validateConversion(spec: Json): FieldError[] {
  const conversion = spec['conversion'] as Json | null | undefined;
  if (!isSet(conversion)) return [];
  const path = specPath.child('conversion');
  const strategy = text(conversion['strategy']);
  const errors =
    strategy === ''
      ? [fieldError.required(path.child('strategy'))]
      : oneOf(path.child('strategy'), strategy, ['None', 'Webhook']);
  const webhook = conversion['webhook'] as Json | null | undefined;
  if (strategy === 'Webhook') {
    if (!isSet(webhook?.['clientConfig']))
      errors.push(
        fieldError.required(path.child('webhookClientConfig'), 'required when strategy is set to Webhook'),
      );
    else
      errors.push(
        ...validateClientConfig(webhook?.['clientConfig'] as Json, path.child('webhookClientConfig')),
      );
    const versions = list(webhook?.['conversionReviewVersions']) as string[];
    const at = path.child('conversionReviewVersions');
    if (versions.length === 0) errors.push(fieldError.required(at));
    else if (!versions.some((version) => version === 'v1' || version === 'v1beta1'))
      errors.push(fieldError.invalid(at, versions, 'must include at least one of v1, v1beta1'));
    return errors;
  }
  const detail = 'should not be set when strategy is not set to Webhook';
  if (isSet(webhook?.['clientConfig']))
    errors.push(fieldError.forbidden(path.child('webhookClientConfig'), detail));
  if (list(webhook?.['conversionReviewVersions']).length > 0)
    errors.push(fieldError.forbidden(path.child('conversionReviewVersions'), detail));
  return errors;
}

function validateNames(names: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const check = (value: string, at: FieldPath, mixed: boolean): void => {
    const found = isDns1035Label(mixed ? value.toLowerCase() : value);
    if (value !== '' && found.length > 0)
      errors.push(
        fieldError.invalid(
          at,
          value,
          (mixed ? 'may have mixed case, but should otherwise match: ' : '') + found.join(','),
        ),
      );
  };
  const checkItem = (value: string, at: FieldPath): void => {
    const found = isDns1035Label(value);
    if (found.length > 0) errors.push(fieldError.invalid(at, value, found.join(',')));
  };
  check(text(names['plural']), path.child('plural'), false);
  check(text(names['singular']), path.child('singular'), false);
  check(text(names['kind']), path.child('kind'), true);
  check(text(names['listKind']), path.child('listKind'), true);
  (list(names['shortNames']) as string[]).forEach((name, index) => {
    checkItem(name, path.child('shortNames').index(index));
  });
  if (text(names['kind']) !== '' && names['kind'] === names['listKind'])
    errors.push(
      fieldError.invalid(path.child('listKind'), names['listKind'], 'kind and listKind may not be the same'),
    );
  (list(names['categories']) as string[]).forEach((name, index) => {
    checkItem(name, path.child('categories').index(index));
  });
  return errors;
}

function validateSpec(spec: Json, before?: Json): FieldError[] {
  const errors: FieldError[] = [];
  const group = text(spec['group']);
  if (group === '') errors.push(fieldError.required(specPath.child('group')));
  else {
    const found = isDns1123Subdomain(group);
    if (found.length > 0) errors.push(fieldError.invalid(specPath.child('group'), group, found.join(',')));
    else if (!group.includes('.'))
      errors.push(
        fieldError.invalid(specPath.child('group'), group, 'should be a domain with at least one dot'),
      );
  }
  const scope = text(spec['scope']);
  if (scope === '') errors.push(fieldError.required(specPath.child('scope')));
  else errors.push(...oneOf(specPath.child('scope'), scope, ['Cluster', 'Namespaced']));
  if (spec['preserveUnknownFields'] === true)
    errors.push(
      fieldError.invalid(
        specPath.child('preserveUnknownFields'),
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  errors.push(...validateVersions(spec));
  const names = (spec['names'] ?? {}) as Json;
  for (const name of ['plural', 'singular', 'kind', 'listKind'])
    if (text(names[name]) === '') errors.push(fieldError.required(specPath.child('names', name)));
  errors.push(...validateNames(names, specPath.child('names')));
  errors.push(...validateParts(spec, before));
  errors.push(...validateConversion(spec));
  return errors;
}

function validateStoredVersions(object: KubeObject): FieldError[] {
  const stored = list(object['status']?.storedVersions) as string[];
  const versions = versionsOf(specOf(object));
  const path = statusPath.child('storedVersions');
  if (stored.length === 0)
    return [
      fieldError.invalid(
        path,
        (object['status']?.storedVersions ?? null) as unknown,
        'must have at least one stored version',
      ),
    ];
  const errors: FieldError[] = [];
  stored.forEach((name, index) => {
    if (!versions.some((version) => version['name'] === name))
      errors.push(
        fieldError.invalid(
          path.index(index),
          name,
          `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
        ),
      );
  });
  for (const version of versions)
    if (version['storage'] === true && !stored.includes(text(version['name'])))
      errors.push(fieldError.invalid(path, stored, `must have the storage version ${text(version['name'])}`));
  return errors;
}

const approvalAnnotation = 'api-approved.kubernetes.io';

function validateApproval(object: KubeObject): FieldError[] {
  const group = text(specOf(object)['group']);
  const isProtected =
    group === 'k8s.io' ||
    group.endsWith('.k8s.io') ||
    group === 'kubernetes.io' ||
    group.endsWith('.kubernetes.io');
  if (!isProtected) return [];
  const value = object.metadata.annotations?.[approvalAnnotation];
  const path = metadataPath.child('annotations').key(approvalAnnotation);
  if (value === undefined || value === '')
    return [
      fieldError.required(
        path,
        `protected groups must have approval annotation "${approvalAnnotation}", see https://github.com/kubernetes/enhancements/pull/1111`,
      ),
    ];
  if (value.startsWith('unapproved') || /^https?:\/\/\S+$/.test(value)) return [];
  return [
    fieldError.invalid(
      path,
      value,
      `protected groups must have approval annotation "${approvalAnnotation}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`,
    ),
  ];
}

/** Each version that was ever written to storage is remembered. The first of two storage versions counts until validation refuses. */
function rememberStorageVersion(object: KubeObject): void {
  const status = ensure(object, 'status');
  const name = text(versionsOf(specOf(object)).find((version) => version['storage'] === true)?.['name']);
  const stored = list(status['storedVersions']) as string[];
  if (name !== '' && !stored.includes(name)) status['storedVersions'] = [...stored, name];
}

const isEstablished = (object: KubeObject): boolean =>
  (list(object['status']?.conditions) as Json[]).some(
    (condition) => condition['type'] === 'Established' && condition['status'] === 'True',
  );

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const now = specOf(object);
  const before = specOf(old);
  const errors = validateSpec(now, before);
  if (isEstablished(old)) {
    errors.push(...immutable(text(now['scope']), text(before['scope']), specPath.child('scope')));
    errors.push(
      ...immutable(text(now['names']?.kind), text(before['names']?.kind), specPath.child('names', 'kind')),
    );
  }
  errors.push(...immutable(text(now['group']), text(before['group']), specPath.child('group')));
  errors.push(
    ...immutable(
      text(now['names']?.plural),
      text(before['names']?.plural),
      specPath.child('names', 'plural'),
    ),
  );
  errors.push(...validateStoredVersions(object));
  return errors;
}

export const customResourceDefinitionStrategy: ResourceStrategy = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  resource: 'customresourcedefinitions',
  allowUnconditionalUpdate: false,
  anyFinalizer: true,
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    const names = ensure(spec, 'names');
    const kind = text(names['kind']);
    if (kind !== '') {
      setZeroDefault(names, 'singular', kind.toLowerCase());
      setZeroDefault(names, 'listKind', `${kind}List`);
    }
    spec['conversion'] ??= { strategy: 'None' };
    const service = spec['conversion'].webhook?.clientConfig?.service as Json | null | undefined;
    if (isSet(service)) setDefault(service, 'port', 443);
    if (list(object['status']?.storedVersions).length === 0) rememberStorageVersion(object);
  },
  prepareForCreate(object) {
    startGeneration(object);
    object['status'] = {};
    rememberStorageVersion(object);
  },
  validate(object) {
    const spec = specOf(object);
    const errors: FieldError[] = [];
    const wanted = `${text(spec['names']?.plural)}.${text(spec['group'])}`;
    for (const member of ['generateName', 'name'] as const) {
      const name = text(object.metadata[member]);
      if (name !== '' && name !== wanted)
        errors.push(
          fieldError.invalid(metadataPath.child(member), name, 'must be spec.names.plural+"."+spec.group'),
        );
    }
    errors.push(...validateSpec(spec), ...validateStoredVersions(object), ...validateApproval(object));
    return errors;
  },
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
    rememberStorageVersion(object);
  },
  warningsOnCreate: (object) => formatWarnings(object),
  validateUpdate: validateChange,
  warningsOnUpdate: (object, old) => formatWarnings(object, old),
  subresources: {
    // Labels and the like may be written here: upstream means to reset them and does not.
    status: statusHooks((object) =>
      validateNames((object['status']?.acceptedNames ?? {}) as Json, statusPath.child('acceptedNames')),
    ),
  },
  columns: columnsOf['apiextensions.k8s.io/customresourcedefinitions'] ?? [],
  cells: (object) => [nameOf(object), object.metadata.creationTimestamp],
};
