import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { RE2JS } from 're2js';
import type { Json } from '../validation/values.ts';
import { entries, isSet, isZero, list, text } from '../validation/values.ts';
import { validateDefault } from './default-value.ts';

/** Rules of a custom resource's schema but for those of CEL. */

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const junctors = ['allOf', 'anyOf', 'oneOf'] as const;
/** Members that only the schema itself may have, not the parts of a junctor. */
const emptyInJunctor = ['type', 'description', 'title'] as const;
const undefinedInJunctor = ['default', 'additionalProperties', 'nullable'] as const;
const extensions = [
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
];

export function validateSchema(schema: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (text(schema['type']) !== 'object') {
    if (text(schema['type']) === '')
      errors.push(fieldError.required(path.child('type'), 'must not be empty at the root'));
    else errors.push(fieldError.invalid(path.child('type'), schema['type'], 'must be object at the root'));
  }
  errors.push(...validateNode(schema, path, { root: true }));
  errors.push(...validateMetadata(schema, path, true));
  return errors;
}

interface Place {
  readonly root?: boolean;
  readonly inItemsOfList?: boolean;
}

function validateNode(schema: Json, path: FieldPath, place: Place): FieldError[] {
  const errors = validateKeywords(schema, path, place);
  // What a reference stands for is unknown, so nothing more can be said.
  if (text(schema['$ref']) !== '') return errors;
  errors.push(...validateLists(schema, path));
  const intOrString = schema['x-kubernetes-int-or-string'] === true;
  const preserve = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (place.root !== true && text(schema['type']) === '' && !intOrString && !preserve) {
    const what = place.inItemsOfList === true ? 'specified array items' : 'specified object fields';
    errors.push(fieldError.required(path.child('type'), `must not be empty for ${what}`));
  }
  if (schema['type'] === 'array' && !isSet(schema['items']))
    errors.push(fieldError.required(path.child('items'), 'must be specified'));
  for (const [name, property] of entries(schema['properties']))
    errors.push(...validateNode(property as Json, path.child('properties').key(name), {}));
  const additional = schema['additionalProperties'] as unknown;
  if (isSet(additional) && typeof additional === 'object') {
    errors.push(...validateNode(additional as Json, path.child('additionalProperties'), {}));
  }
  if (isSet(schema['items']) && !Array.isArray(schema['items']))
    errors.push(...validateNode(schema['items'] as Json, path.child('items'), { inItemsOfList: true }));
  for (const junctor of junctors)
    list(schema[junctor]).forEach((part: Json, index) => {
      errors.push(...validatePart(part, path.child(junctor).index(index), intOrString));
    });
  if (isSet(schema['not']))
    errors.push(...validatePart(schema['not'] as Json, path.child('not'), intOrString));
  if (isSet(schema['default']))
    errors.push(...validateDefault(schema['default'], schema, path.child('default'), place.root === true));
  errors.push(...validateRules(schema, path));
  return errors;
}

function validateKeywords(schema: Json, path: FieldPath, place: Place): FieldError[] {
  const errors: FieldError[] = [];
  const type = text(schema['type']);
  if (type !== '' && !types.includes(type))
    errors.push(fieldError.notSupported(path.child('type'), type, types));
  if (text(schema['$ref']) !== '')
    errors.push(fieldError.forbidden(path.child('$ref'), '$ref is not supported'));
  if (schema['uniqueItems'] === true)
    errors.push(
      fieldError.forbidden(
        path.child('uniqueItems'),
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  if (isSet(schema['additionalProperties'])) {
    const at = path.child('additionalProperties');
    if (entries(schema['properties']).length > 0)
      errors.push(fieldError.forbidden(at, 'additionalProperties and properties are mutual exclusive'));
    else if (schema['additionalProperties'] === false)
      errors.push(fieldError.forbidden(at, 'additionalProperties cannot be set to false'));
    else if (place.root === true) errors.push(fieldError.forbidden(at, 'must not be used at the root'));
  }
  if (Array.isArray(schema['items']))
    errors.push(fieldError.forbidden(path.child('items'), 'items must be a schema object and not an array'));
  for (const name of ['id', '$schema', 'patternProperties', 'additionalItems', 'definitions', 'dependencies'])
    if (isSet(schema[name]) && !isZero(schema[name]))
      errors.push(fieldError.forbidden(path.child(name), `${name} is not supported`));
  if (schema['x-kubernetes-preserve-unknown-fields'] === false)
    errors.push(
      fieldError.invalid(
        path.child('x-kubernetes-preserve-unknown-fields'),
        false,
        'must be true or undefined',
      ),
    );
  if (schema['x-kubernetes-embedded-resource'] === true) {
    if (type !== 'object')
      errors.push(
        fieldError.invalid(
          path.child('type'),
          type,
          'must be object if x-kubernetes-embedded-resource is true',
        ),
      );
    if (place.root === true)
      errors.push(
        fieldError.forbidden(path.child('x-kubernetes-embedded-resource'), 'must not be used at the root'),
      );
    if (entries(schema['properties']).length === 0 && schema['x-kubernetes-preserve-unknown-fields'] !== true)
      errors.push(
        fieldError.required(
          path.child('properties'),
          'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
        ),
      );
  }
  const pattern = text(schema['pattern']);
  if (pattern !== '') {
    try {
      RE2JS.compile(pattern);
    } catch (error) {
      errors.push(
        fieldError.invalid(
          path.child('pattern'),
          pattern,
          `must be a valid regular expression, but isn't: ${(error as Error).message}`,
        ),
      );
    }
  }
  return errors;
}

function validateLists(schema: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const type = text(schema['type']);
  const listType = schema['x-kubernetes-list-type'] as string | null | undefined;
  const mapType = schema['x-kubernetes-map-type'] as string | null | undefined;
  const keys = list(schema['x-kubernetes-list-map-keys']) as string[];
  const keysPath = path.child('x-kubernetes-list-map-keys');
  const items = (schema['items'] ?? {}) as Json;
  if (isSet(listType)) {
    if (type !== 'array')
      errors.push(
        fieldError.invalid(path.child('type'), type, 'must be array if x-kubernetes-list-type is specified'),
      );
    if (!['atomic', 'set', 'map'].includes(listType))
      errors.push(
        fieldError.notSupported(path.child('x-kubernetes-list-type'), listType, ['atomic', 'set', 'map']),
      );
  }
  if (isSet(mapType)) {
    if (type !== 'object')
      errors.push(
        fieldError.invalid(path.child('type'), type, 'must be object if x-kubernetes-map-type is specified'),
      );
    if (!['atomic', 'granular'].includes(mapType))
      errors.push(
        fieldError.notSupported(path.child('x-kubernetes-map-type'), mapType, ['granular', 'atomic']),
      );
  }
  if (keys.length > 0 && listType !== 'map')
    errors.push(
      isSet(listType)
        ? fieldError.invalid(
            path.child('x-kubernetes-list-type'),
            listType,
            'must be map if x-kubernetes-list-map-keys is non-empty',
          )
        : fieldError.required(
            path.child('x-kubernetes-list-type'),
            'must be map if x-kubernetes-list-map-keys is non-empty',
          ),
    );
  if (listType === 'set') errors.push(...validateSetItems(items, path.child('items')));
  if (listType !== 'map' || type !== 'array') return errors;
  if (keys.length === 0)
    return [...errors, fieldError.required(keysPath, 'must not be empty if x-kubernetes-list-type is map')];
  if (text(items['type']) !== 'object')
    errors.push(
      fieldError.invalid(
        path.child('items', 'type'),
        text(items['type']),
        "must be object if parent array's x-kubernetes-list-type is map",
      ),
    );
  const properties = (items['properties'] ?? {}) as Json;
  keys.forEach((key, index) => {
    if (keys.indexOf(key) !== index) errors.push(fieldError.duplicate(keysPath.index(index), key));
  });
  if (keys.some((key) => !isSet(properties[key])))
    errors.push(fieldError.invalid(keysPath, keys, 'entries must all be names of item properties'));
  const required = list(items['required']) as string[];
  for (const key of keys) {
    const property = properties[key] as Json | null | undefined;
    if (!isSet(property)) continue;
    const at = path.child('items', 'properties').key(key);
    if (property['type'] === 'object' || property['type'] === 'array')
      errors.push(
        fieldError.invalid(
          at.child('type'),
          property['type'],
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      );
    if (!required.includes(key) && !isSet(property['default']))
      errors.push(
        fieldError.required(
          at.child('default'),
          'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
        ),
      );
    if (property['nullable'] === true)
      errors.push(
        fieldError.forbidden(
          at.child('nullable'),
          'this property is in x-kubernetes-list-map-keys, so it cannot be nullable',
        ),
      );
  }
  return errors;
}

function validateSetItems(items: Json, path: FieldPath): FieldError[] {
  if (items['nullable'] === true)
    return [
      fieldError.forbidden(path.child('nullable'), 'cannot be nullable when x-kubernetes-list-type is set'),
    ];
  if (items['type'] === 'object' && items['x-kubernetes-map-type'] !== 'atomic')
    return [
      fieldError.invalid(
        path.child('x-kubernetes-map-type'),
        items['x-kubernetes-map-type'] ?? null,
        'must be atomic as item of a list with x-kubernetes-list-type=set',
      ),
    ];
  if (
    items['type'] === 'array' &&
    isSet(items['x-kubernetes-list-type']) &&
    items['x-kubernetes-list-type'] !== 'atomic'
  )
    return [
      fieldError.invalid(
        path.child('x-kubernetes-list-type'),
        items['x-kubernetes-list-type'],
        'must be atomic as item of a list with x-kubernetes-list-type=set',
      ),
    ];
  return [];
}

/** Parts of allOf, anyOf, oneOf and not only check values; they may not add to the structure. */
function validatePart(part: Json, path: FieldPath, intOrString: boolean): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of emptyInJunctor)
    if (
      text(part[name]) !== '' &&
      !(name === 'type' && intOrString && ['integer', 'string'].includes(text(part[name])))
    )
      errors.push(fieldError.forbidden(path.child(name), 'must be empty to be structural'));
  for (const name of undefinedInJunctor)
    if (isSet(part[name]) && part[name] !== false)
      errors.push(
        fieldError.forbidden(
          path.child(name),
          name === 'nullable' ? 'must be false to be structural' : 'must be undefined to be structural',
        ),
      );
  for (const name of extensions)
    if (isSet(part[name]) && part[name] !== false)
      errors.push(fieldError.forbidden(path.child(name), 'must be undefined to be structural'));
  for (const [name, property] of entries(part['properties']))
    errors.push(...validatePart(property as Json, path.child('properties').key(name), false));
  if (isSet(part['items']) && !Array.isArray(part['items']))
    errors.push(...validatePart(part['items'] as Json, path.child('items'), false));
  for (const junctor of junctors)
    list(part[junctor]).forEach((each: Json, index) =>
      errors.push(...validatePart(each, path.child(junctor).index(index), intOrString)),
    );
  if (isSet(part['not'])) errors.push(...validatePart(part['not'] as Json, path.child('not'), intOrString));
  return errors;
}

/** apiVersion, kind and metadata are given; a schema may say little about them. */
function validateMetadata(schema: Json, path: FieldPath, isResource: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const properties = (schema['properties'] ?? {}) as Json;
  const at = path.child('properties');
  if (isResource || schema['x-kubernetes-embedded-resource'] === true) {
    for (const name of ['apiVersion', 'kind']) {
      const type: unknown = properties[name]?.type;
      if (isSet(properties[name]) && type !== 'string')
        errors.push(fieldError.invalid(at.key(name).child('type'), type ?? '', 'must be string'));
    }
    const meta = properties['metadata'] as Json | null | undefined;
    if (isSet(meta)) {
      if (meta['type'] !== 'object')
        errors.push(
          fieldError.invalid(at.key('metadata').child('type'), meta['type'] ?? '', 'must be object'),
        );
      const extra =
        Object.keys((meta['properties'] ?? {}) as Json).some(
          (name) => name !== 'name' && name !== 'generateName',
        ) ||
        Object.keys(meta).some(
          (name) => !['type', 'properties', 'description'].includes(name) && !isZero(meta[name]),
        );
      if (extra)
        errors.push(
          fieldError.forbidden(
            at.key('metadata'),
            'must not specify anything other than name and generateName, but metadata is implicitly specified',
          ),
        );
    }
  }
  for (const [name, property] of entries(properties))
    errors.push(...validateMetadata(property as Json, at.key(name), false));
  if (isSet(schema['items']) && !Array.isArray(schema['items']))
    errors.push(...validateMetadata(schema['items'] as Json, path.child('items'), false));
  if (isSet(schema['additionalProperties']) && typeof schema['additionalProperties'] === 'object')
    errors.push(
      ...validateMetadata(schema['additionalProperties'] as Json, path.child('additionalProperties'), false),
    );
  return errors;
}

const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

/** The plain members of x-kubernetes-validations; expressions are compiled where CEL is. */
function validateRules(schema: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  list(schema['x-kubernetes-validations']).forEach((rule: Json, index) => {
    const at = path.child('x-kubernetes-validations').index(index);
    if (text(rule['rule']).trim() === '')
      errors.push(fieldError.required(at.child('rule'), 'rule is not specified'));
    const message = text(rule['message']);
    if (message !== '' && message.trim() === '')
      errors.push(fieldError.invalid(at.child('message'), message, 'must be non-empty if specified'));
    else if (message.trim().includes('\n'))
      errors.push(fieldError.invalid(at.child('message'), message, 'must not contain line breaks'));
    if (message === '' && text(rule['rule']).trim().includes('\n'))
      errors.push(
        fieldError.required(at.child('message'), 'message must be specified if rule contains line breaks'),
      );
    const expression = rule['messageExpression'] as string | null | undefined;
    if (isSet(expression) && expression !== '' && expression.trim() === '')
      errors.push(fieldError.required(at.child('messageExpression'), 'must be non-empty if specified'));
    if (isSet(rule['reason']) && rule['reason'] !== '' && !reasons.includes(text(rule['reason'])))
      errors.push(fieldError.notSupported(at.child('reason'), rule['reason'], reasons));
    const field = text(rule['fieldPath']);
    if (field !== '' && !/^(\.[A-Za-z_][\w]*|\['[^']+'\])+$/.test(field))
      errors.push(fieldError.invalid(at.child('fieldPath'), field, 'must be a valid path'));
  });
  return errors;
}
