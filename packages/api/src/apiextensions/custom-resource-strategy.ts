import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { deepClone, deepEqual, fieldError, FieldPath } from '@pilothouse/apimachinery';
import type { ResourceStrategy, StrategyContext } from '../strategy.ts';
import { customColumns } from './columns.ts';
import { applyDefaults } from './defaulting.ts';
import { validateEmbedded } from './embedded.ts';
import { JsonPath } from './json-path.ts';
import { validateListUniqueness } from './list-uniqueness.ts';
import { validateWithRatcheting } from './ratcheting.ts';
import type { CustomResourceDefinitionSpec, CustomResourceVersion, JsonSchema } from './schema.ts';
import { compileRules } from './cel/rule-set.ts';
import { validateValue } from './validate-value.ts';

export interface CustomResourceStrategyOptions {
  readonly spec: CustomResourceDefinitionSpec;
  readonly version: CustomResourceVersion;
}

const blocking = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);
const rulesSkipped = fieldError.invalid(
  new FieldPath(),
  null,
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
);

/** The behaviour of a custom resource in one version of its definition. */
export function customResourceStrategy(options: CustomResourceStrategyOptions): ResourceStrategy {
  const { spec, version } = options;
  const schema: JsonSchema | undefined = version.schema?.openAPIV3Schema;
  const rules = compileRules(schema);
  const hasStatus = version.subresources?.status !== undefined;
  const { columns, cells } = customColumns(version.additionalPrinterColumns);

  const check = (object: KubeObject, old: KubeObject | undefined): FieldError[] => {
    if (schema === undefined) return [];
    const errors =
      old === undefined ? validateValue(object, schema) : validateWithRatcheting(object, old, schema);
    errors.push(...validateEmbedded(object, schema));
    errors.push(...validateListUniqueness(object, schema));
    // Rules are written for values of the right types.
    if (rules === undefined) return errors;
    if (errors.some(({ type }) => blocking.has(type))) errors.push(rulesSkipped);
    else errors.push(...rules.validate(object, old));
    return errors;
  };
  const scaleErrors = (object: KubeObject): FieldError[] => checkScale(object, version);
  const validateUpdate = (object: KubeObject, old: KubeObject): FieldError[] => [
    ...check(object, old),
    ...scaleErrors(object),
  ];
  const topLevel = Object.keys(schema?.properties ?? {}).filter(
    (name) => !['apiVersion', 'kind', 'metadata', 'status'].includes(name),
  );

  return {
    group: spec.group,
    version: version.name,
    kind: spec.names.kind,
    resource: spec.names.plural,
    allowUnconditionalUpdate: false,
    columns,
    cells,
    ...(hasStatus ? { resetFields: ['status'] } : {}),
    defaults: (object) => {
      applyDefaults(object, schema);
    },
    prepareForCreate: (object) => {
      if (hasStatus) delete object['status'];
      object.metadata.generation = 1;
    },
    validate: (object) => [...check(object, undefined), ...scaleErrors(object)],
    prepareForUpdate: (object, old) => {
      if (hasStatus) {
        if (old['status'] === undefined) delete object['status'];
        else object['status'] = deepClone(old['status']);
      }
      if (contentDiffers(object, old, hasStatus))
        object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    },
    validateUpdate,
    selectableFields: selectable(version),
    ...(hasStatus
      ? {
          subresources: {
            status: {
              prepareForUpdate: (object: KubeObject, old: KubeObject, _context: StrategyContext) => {
                takeStatus(object, old);
              },
              validateUpdate,
              resetFields: [...new Set([...topLevel, 'spec'])],
            },
          },
        }
      : {}),
  };
}

function contentDiffers(object: KubeObject, old: KubeObject, hasStatus: boolean): boolean {
  const content = (each: KubeObject): Record<string, unknown> => {
    const { metadata: _, ...rest } = each as Record<string, unknown>;
    if (hasStatus) delete rest['status'];
    return rest;
  };
  return !deepEqual(content(object), content(old));
}

/** Everything but status and managedFields stays as it was. */
function takeStatus(object: KubeObject, old: KubeObject): void {
  const status: unknown = object['status'];
  const { managedFields, resourceVersion } = object.metadata;
  for (const name of Object.keys(object)) delete object[name];
  Object.assign(object, deepClone(old));
  if (status === undefined) delete object['status'];
  else object['status'] = status;
  if (resourceVersion !== undefined) object.metadata.resourceVersion = resourceVersion;
  if (managedFields === undefined) delete object.metadata.managedFields;
  else object.metadata.managedFields = managedFields;
}

function selectable(version: CustomResourceVersion): Record<string, (object: KubeObject) => string> {
  const fields: Record<string, (object: KubeObject) => string> = {};
  for (const { jsonPath } of version.selectableFields ?? []) {
    const path = new JsonPath(jsonPath);
    fields[jsonPath.replace(/^\./, '')] = (object) => {
      const value = path.find(object)[0];
      return value === undefined || value === null ? '' : String(value);
    };
  }
  return fields;
}

/** Replicas that a Scale shows must be numbers that it can show. */
function checkScale(object: KubeObject, version: CustomResourceVersion): FieldError[] {
  const scale = version.subresources?.scale;
  if (scale === undefined) return [];
  const errors: FieldError[] = [];
  for (const [text, isSpec] of [
    [scale.specReplicasPath, true],
    [scale.statusReplicasPath, false],
  ] as const) {
    const value = new JsonPath(text).find(object)[0];
    if (value === undefined || value === null) continue;
    const at = pathOf(text);
    if (typeof value !== 'bigint' && (typeof value !== 'number' || !Number.isInteger(value))) {
      errors.push(fieldError.invalid(at, value, `${isSpec ? 'spec' : 'status'} replicas must be an integer`));
    } else if (value < 0) errors.push(fieldError.invalid(at, value, 'should be a non-negative integer'));
    else if (value > 2147483647) {
      errors.push(fieldError.invalid(at, value, 'should be less than or equal to 2147483647'));
    }
  }
  return errors;
}

function pathOf(text: string): FieldPath {
  return new FieldPath(text.replace(/^\./, ''));
}
