import type { FieldError } from '@pilothouse/apimachinery';
import { deepEqual, fieldError, FieldPath, isJsonObject, jsonText } from '@pilothouse/apimachinery';
import { RE2JS } from 're2js';
import { stringFormats } from './formats.ts';
import type { JsonSchema } from './schema.ts';
import { itemsOf } from './schema.ts';

// The words are those of go-openapi, which upstream lets check custom resources.

/** Checks a value against a schema. `path` as messages show it: `spec.list[0].name`, empty for the root. */
export function validateValue(value: unknown, schema: JsonSchema, path = ''): FieldError[] {
  const errors: FieldError[] = [];
  check(value, schema, path, errors);
  return errors;
}

const at = (path: string): FieldPath => new FieldPath(path);
const inBody = (path: string, text: string): string => `${path} in body ${text}`;

/** Errors that upstream knows no field for. */
function unplaced(text: string): FieldError {
  return fieldError.invalid(new FieldPath(), '', text);
}

/** What a value is called in messages. */
function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typesOf(schema: JsonSchema): readonly string[] {
  if (schema['x-kubernetes-int-or-string'] === true) return ['integer', 'string'];
  return schema.type === undefined || schema.type === '' ? [] : [schema.type];
}

function check(value: unknown, schema: JsonSchema, path: string, errors: FieldError[]): void {
  if (value === null || value === undefined) {
    if (schema.nullable === true) return;
    const types = typesOf(schema);
    if (types.length > 0) errors.push(typeError(path, types, 'null'));
    checkEnum(null, schema, path, errors);
    return;
  }
  checkType(value, schema, path, errors);
  checkJuncts(value, schema, path, errors);
  if (typeof value === 'string') checkString(value, schema, path, errors);
  if (typeof value === 'number' || typeof value === 'bigint') checkNumber(value, schema, path, errors);
  if (Array.isArray(value)) checkList(value, schema, path, errors);
  checkEnum(value, schema, path, errors);
  if (isJsonObject(value)) checkObject(value, schema, path, errors);
}

function typeError(path: string, types: readonly string[], got: string): FieldError {
  const wanted = types.join(',');
  return fieldError.typeInvalid(
    at(path),
    got,
    inBody(path, `must be of type ${wanted}: ${JSON.stringify(got)}`),
  );
}

function checkType(value: unknown, schema: JsonSchema, path: string, errors: FieldError[]): void {
  const types = typesOf(schema);
  if (types.length === 0) return;
  const got = typeOf(value);
  if (types.includes(got) || (got === 'integer' && types.includes('number'))) return;
  errors.push(typeError(path, types, got));
}

const codePoints = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

const patterns = new Map<string, RE2JS | undefined>();

/** The compiled pattern; undefined when it is none. */
export function compilePattern(pattern: string): RE2JS | undefined {
  if (!patterns.has(pattern)) {
    if (patterns.size > 10_000) patterns.clear();
    try {
      patterns.set(pattern, RE2JS.compile(pattern));
    } catch {
      patterns.set(pattern, undefined);
    }
  }
  return patterns.get(pattern);
}

function checkString(value: string, schema: JsonSchema, path: string, errors: FieldError[]): void {
  const { maxLength, minLength, pattern, format } = schema;
  if (maxLength !== undefined && codePoints(value) > maxLength) {
    errors.push(fieldError.tooLong(at(path), maxLength));
  }
  if (minLength !== undefined && codePoints(value) < minLength) {
    errors.push(
      fieldError.invalid(at(path), value, inBody(path, `should be at least ${minLength} chars long`)),
    );
  }
  if (pattern !== undefined && pattern !== '' && compilePattern(pattern)?.matcher(value).find() !== true) {
    errors.push(fieldError.invalid(at(path), value, inBody(path, `should match '${pattern}'`)));
  }
  if (
    format !== undefined &&
    stringFormats.get(format.replaceAll('-', '') === 'datetime' ? 'date-time' : format)?.(value) === false
  ) {
    errors.push(
      fieldError.typeInvalid(
        at(path),
        value,
        inBody(path, `must be of type ${format}: ${JSON.stringify(value)}`),
      ),
    );
  }
}

const float32Max = 3.4028234663852886e38;

/** Whether a number can be one of the type and format; floats stand for themselves. */
function fitsFormat(value: number | bigint, type: unknown, format: string | undefined): boolean {
  if (type !== 'integer')
    return !/^float(?:32)?$/.test(format ?? '') || Math.abs(Number(value)) <= float32Max;
  if (typeof value === 'number' && !Number.isInteger(value)) return false;
  switch (format) {
    case 'int32':
      return value >= -2147483648 && value <= 2147483647;
    case 'uint32':
      return value >= 0 && value <= 4294967295;
    case 'uint64':
      return value >= 0 && value < 2 ** 64;
    default:
      return value >= -(2 ** 63) && value < 2 ** 63;
  }
}

function isMultiple(value: number | bigint, factor: number): boolean {
  if (typeof value === 'bigint' && Number.isInteger(factor)) return value % BigInt(factor) === 0n;
  const quotient = Number(value) / factor;
  return Math.abs(quotient - Math.round(quotient)) <= 1e-9;
}

function checkNumber(value: number | bigint, schema: JsonSchema, path: string, errors: FieldError[]): void {
  const { multipleOf, maximum, minimum, type, format } = schema;
  const invalid = (text: string): void => {
    errors.push(fieldError.invalid(at(path), value, inBody(path, text)));
  };
  const inRange = (bound: number | bigint, what: string): boolean => {
    if (fitsFormat(bound, type, format)) return true;
    const wanted =
      format === undefined || format === '' ? `${type} (default format)` : `${type} with format ${format}`;
    errors.push(unplaced(`${what} value must be of type ${wanted} in ${path}`));
    return false;
  };
  inRange(value, 'Checked');
  if (multipleOf !== undefined) {
    inRange(multipleOf, 'MultipleOf');
    if (!isMultiple(value, multipleOf)) invalid(`should be a multiple of ${multipleOf}`);
  }
  if (maximum !== undefined) inRange(maximum, 'Maximum boundary');
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true ? value >= maximum : value > maximum) {
      invalid(`should be less than ${schema.exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`);
    }
  }
  if (minimum !== undefined) {
    inRange(minimum, 'Minimum boundary');
    if (schema.exclusiveMinimum === true ? value <= minimum : value < minimum) {
      invalid(`should be greater than ${schema.exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`);
    }
  }
}

function checkList(value: readonly unknown[], schema: JsonSchema, path: string, errors: FieldError[]): void {
  const items = itemsOf(schema);
  if (items !== undefined) value.forEach((item, index) => check(item, items, `${path}[${index}]`, errors));
  const { minItems, maxItems } = schema;
  if (minItems !== undefined && value.length < minItems) {
    errors.push(
      fieldError.invalid(at(path), value.length, inBody(path, `should have at least ${minItems} items`)),
    );
  }
  if (maxItems !== undefined && value.length > maxItems) {
    errors.push(fieldError.tooMany(at(path), value.length, maxItems));
  }
  if (
    schema.uniqueItems === true &&
    value.some((item, index) => value.slice(0, index).some((other) => deepEqual(item, other)))
  ) {
    errors.push(fieldError.duplicate(at(path), ''));
  }
}

function checkEnum(value: unknown, schema: JsonSchema, path: string, errors: FieldError[]): void {
  const allowed = schema.enum;
  if (allowed === undefined || allowed.length === 0 || allowed.some((each) => deepEqual(each, value))) return;
  errors.push(
    fieldError.notSupported(
      at(path),
      value,
      allowed.map((each) => (typeof each === 'string' ? each : jsonText(each))),
    ),
  );
}

function checkObject(
  value: Record<string, unknown>,
  schema: JsonSchema,
  path: string,
  errors: FieldError[],
): void {
  const { minProperties, maxProperties } = schema;
  const names = Object.keys(value);
  if (minProperties !== undefined && names.length < minProperties) {
    errors.push(
      fieldError.invalid(
        at(path),
        names.length,
        inBody(path, `should have at least ${minProperties} properties`),
      ),
    );
  }
  if (maxProperties !== undefined && names.length > maxProperties) {
    errors.push(fieldError.tooMany(at(path), names.length, maxProperties));
  }
  const child = (name: string): string => (path === '' ? name : `${path}.${name}`);
  for (const name of requiredOf(schema)) {
    if (!Object.hasOwn(value, name)) errors.push(fieldError.required(at(child(name))));
  }
  const { properties = {}, additionalProperties } = schema;
  for (const name of names) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property !== undefined) check(value[name], property, child(name), errors);
    else if (additionalProperties === false && schema['x-kubernetes-preserve-unknown-fields'] !== true) {
      errors.push(unplaced(inBody(child(name), 'is a forbidden property')));
    } else if (typeof additionalProperties === 'object')
      check(value[name], additionalProperties, child(name), errors);
  }
}

/** An embedded resource says what it is. */
function requiredOf(schema: JsonSchema): readonly string[] {
  const required = schema.required ?? [];
  if (schema['x-kubernetes-embedded-resource'] !== true) return required;
  return [...new Set([...required, 'apiVersion', 'kind'])];
}

function checkJuncts(value: unknown, schema: JsonSchema, path: string, errors: FieldError[]): void {
  if (schema.anyOf !== undefined && schema.anyOf.length > 0) checkAnyOf(value, schema.anyOf, path, errors);
  if (schema.oneOf !== undefined && schema.oneOf.length > 0) checkOneOf(value, schema.oneOf, path, errors);
  if (schema.allOf !== undefined && schema.allOf.length > 0) {
    const found = schema.allOf.map((each) => validateValue(value, each, path));
    const failed = found.filter((each) => each.length > 0);
    if (failed.length > 0) {
      errors.push(
        ...failed.flat(),
        unplaced(
          `"${path}" must validate all the schemas (allOf)${failed.length === found.length ? '. None validated' : ''}`,
        ),
      );
    }
  }
  if (schema.not !== undefined && validateValue(value, schema.not, path).length === 0) {
    errors.push(unplaced(`"${path}" must not validate the schema (not)`));
  }
}

/** Of alternatives that all fail, the one that got furthest is told: the first of the shortest lists. */
function best(found: readonly FieldError[][]): FieldError[] {
  return found.reduce((least, each) => (each.length < least.length ? each : least));
}

function checkAnyOf(
  value: unknown,
  schemas: readonly JsonSchema[],
  path: string,
  errors: FieldError[],
): void {
  const found = schemas.map((each) => validateValue(value, each, path));
  if (found.some((each) => each.length === 0)) return;
  errors.push(unplaced(`"${path}" must validate at least one schema (anyOf)`), ...best(found));
}

function checkOneOf(
  value: unknown,
  schemas: readonly JsonSchema[],
  path: string,
  errors: FieldError[],
): void {
  const found = schemas.map((each) => validateValue(value, each, path));
  const valid = found.filter((each) => each.length === 0).length;
  if (valid === 1) return;
  const rule = `"${path}" must validate one and only one schema (oneOf).`;
  if (valid === 0) errors.push(unplaced(`${rule} Found none valid`), ...best(found));
  else errors.push(unplaced(`${rule} Found ${valid} valid alternatives`));
}
