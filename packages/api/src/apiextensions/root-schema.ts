import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { entries, isSet, list, text } from '../validation/values.ts';

/** What stands for a member in upstream's struct: its zero value, and how a value looks when it is no plain one. */
interface Member {
  readonly goName: string;
  readonly jsonName: string;
  readonly zero: unknown;
  readonly shown?: (value: unknown) => unknown;
}

const member = (
  goName: string,
  zero: unknown,
  shown?: (value: unknown) => unknown,
  json?: string,
): Member => ({
  goName,
  jsonName: json ?? goName.charAt(0).toLowerCase() + goName.slice(1),
  zero,
  ...(shown === undefined ? {} : { shown }),
});
const extension = (
  goName: string,
  json: string,
  zero: unknown,
  shown?: (value: unknown) => unknown,
): Member => member(goName, zero, shown, `x-kubernetes-${json}`);

const one = (value: unknown): unknown => schemaValue(value as Json);
const several = (value: unknown): unknown => list(value).map(one);
const byName = (value: unknown): unknown =>
  Object.fromEntries(entries(value).map(([name, each]) => [name, one(each)]));
const orBool = (value: unknown): unknown =>
  typeof value === 'boolean' ? { Allows: value, Schema: null } : { Allows: true, Schema: one(value) };
const orArray = (value: unknown): unknown =>
  Array.isArray(value)
    ? { Schema: null, JSONSchemas: several(value) }
    : { Schema: one(value), JSONSchemas: null };
const orNames = (value: unknown): unknown =>
  Object.fromEntries(
    entries(value).map(([name, each]) => [
      name,
      Array.isArray(each) ? { Schema: null, Property: each } : { Schema: one(each), Property: null },
    ]),
  );
const rules = (value: unknown): unknown =>
  (list(value) as Json[]).map((rule) => ({
    Rule: text(rule['rule']),
    Message: text(rule['message']),
    MessageExpression: text(rule['messageExpression']),
    Reason: (rule['reason'] ?? null) as unknown,
    FieldPath: text(rule['fieldPath']),
    OptionalOldSelf: (rule['optionalOldSelf'] ?? null) as unknown,
  }));
const docs = (value: unknown): unknown => ({
  Description: text((value as Json)['description']),
  URL: text((value as Json)['url']),
});

/** JSONSchemaProps of apiextensions, in the order of its members. */
const members: readonly Member[] = [
  member('ID', '', undefined, 'id'),
  member('Schema', '', undefined, '$schema'),
  member('Ref', null, undefined, '$ref'),
  member('Description', ''),
  member('Type', ''),
  member('Nullable', false),
  member('Format', ''),
  member('Title', ''),
  member('Default', null),
  member('Maximum', null),
  member('ExclusiveMaximum', false),
  member('Minimum', null),
  member('ExclusiveMinimum', false),
  member('MaxLength', null),
  member('MinLength', null),
  member('Pattern', ''),
  member('MaxItems', null),
  member('MinItems', null),
  member('UniqueItems', false),
  member('MultipleOf', null),
  member('Enum', null),
  member('MaxProperties', null),
  member('MinProperties', null),
  member('Required', null),
  member('Items', null, orArray),
  member('AllOf', null, several),
  member('OneOf', null, several),
  member('AnyOf', null, several),
  member('Not', null, one),
  member('Properties', null, byName),
  member('AdditionalProperties', null, orBool),
  member('PatternProperties', null, byName),
  member('Dependencies', null, orNames),
  member('AdditionalItems', null, orBool),
  member('Definitions', null, byName),
  member('ExternalDocs', null, docs),
  member('Example', null),
  extension('XPreserveUnknownFields', 'preserve-unknown-fields', null),
  extension('XEmbeddedResource', 'embedded-resource', false),
  extension('XIntOrString', 'int-or-string', false),
  extension('XListMapKeys', 'list-map-keys', null),
  extension('XListType', 'list-type', null),
  extension('XMapType', 'map-type', null),
  extension('XValidations', 'validations', null, rules),
];

function schemaValue(schema: Json): Json {
  return Object.fromEntries(
    members.map(({ goName, jsonName, zero, shown }) => {
      const value: unknown = schema[jsonName];
      return [goName, !isSet(value) ? zero : shown === undefined ? value : shown(value)];
    }),
  );
}

/** Members of a root schema that are not lost when the schema of its status is taken out of it. */
const allowed = [
  'Description',
  'Type',
  'Format',
  'Title',
  'Maximum',
  'ExclusiveMaximum',
  'Minimum',
  'ExclusiveMinimum',
  'MaxLength',
  'MinLength',
  'Pattern',
  'MaxItems',
  'MinItems',
  'UniqueItems',
  'MultipleOf',
  'Required',
  'Items',
  'Properties',
  'ExternalDocs',
  'Example',
  'XPreserveUnknownFields',
  'XValidations',
];

/** What the root of a schema may have when the resource has a status of its own; the first problem is told. */
export function validateRootWithStatus(schema: Json, path: FieldPath): FieldError[] {
  for (const { goName, jsonName, zero } of members) {
    const value: unknown = schema[jsonName];
    if (!isSet(value) || value === zero) continue;
    if (goName === 'Type' && value !== 'object')
      return [
        fieldError.invalid(
          path.child('type'),
          value,
          'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
        ),
      ];
    if (!allowed.includes(goName))
      return [
        {
          type: 'FieldValueInvalid',
          field: path.text,
          message: `Invalid value: ${JSON.stringify(schemaValue(schema))}: only [${allowed.join(' ')}] fields are allowed at the root of the schema if the status subresource is enabled`,
        },
      ];
  }
  return [];
}
