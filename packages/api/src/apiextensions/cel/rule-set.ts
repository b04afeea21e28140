import type { ParseResult } from '@marcbachmann/cel-js';
import { Optional } from '@marcbachmann/cel-js';
import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { deepEqual, fieldError, FieldPath, isJsonObject } from '@pilothouse/apimachinery';
import { evaluationMessage } from '../../cel/messages.ts';
import type { JsonSchema, ValidationRule } from '../schema.ts';
import { additionalOf, itemsOf } from '../schema.ts';
import { hasRules, mentionsOldSelf } from './rules.ts';
import { SchemaTypes, toCel, visibleSchema } from './schema-types.ts';

/** The compiled rules of one schema. */
export interface RuleSet {
  /** `old` is undefined on create: transition rules are skipped then. */
  validate(object: KubeObject, old: KubeObject | undefined): FieldError[];
}

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly evaluate: ParseResult;
  readonly message: ParseResult | undefined;
  readonly isTransition: boolean;
}

/** A node of a schema with rules in or below it. */
interface RuleNode {
  readonly schema: JsonSchema;
  readonly types: SchemaTypes;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, RuleNode>;
  readonly additional: RuleNode | undefined;
  readonly items: RuleNode | undefined;
}

/** Compiles all rules of a schema; undefined when it has none. Rules that do not compile are left out: validation of the definition told of them. */
export function compileRules(schema: JsonSchema | undefined): RuleSet | undefined {
  if (schema === undefined || !hasRules(schema)) return undefined;
  const root = compileNode(schema, true);
  if (root === undefined) return undefined;
  return { validate: (object, old) => validateNode(root, object, old, new FieldPath()) };
}

function compileNode(given: JsonSchema, isRoot: boolean): RuleNode | undefined {
  if (!hasRules(given)) return undefined;
  const schema = visibleSchema(given, isRoot);
  const types = new SchemaTypes();
  const rules = compileOwn(schema, types);
  const properties = new Map<string, RuleNode>();
  for (const name of Object.keys(given.properties ?? {}).sort()) {
    const node = compileNode(given.properties?.[name] as JsonSchema, false);
    if (node !== undefined) properties.set(name, node);
  }
  const additional = additionalOf(given);
  const items = itemsOf(given);
  return {
    schema,
    types,
    rules,
    properties,
    additional: additional === undefined ? undefined : compileNode(additional, false),
    items: items === undefined ? undefined : compileNode(items, false),
  };
}

function compileOwn(schema: JsonSchema, types: SchemaTypes): CompiledRule[] {
  const rules = schema['x-kubernetes-validations'] ?? [];
  if (rules.length === 0) return [];
  const type = types.typeOf(schema);
  const plain = types.environment.clone().registerVariable('self', type).registerVariable('oldSelf', type);
  const optional = types.environment
    .clone()
    .registerVariable('self', type)
    .registerVariable('oldSelf', `optional<${type}>`);
  return rules.flatMap((rule): CompiledRule[] => {
    const environment = rule.optionalOldSelf === true ? optional : plain;
    try {
      return [
        {
          rule,
          evaluate: environment.parse(rule.rule),
          message: rule.messageExpression ? environment.parse(rule.messageExpression) : undefined,
          isTransition: mentionsOldSelf(rule.rule),
        },
      ];
    } catch {
      return [];
    }
  });
}

function validateNode(node: RuleNode, value: unknown, old: unknown, path: FieldPath): FieldError[] {
  if (value === null || value === undefined) return [];
  const errors: FieldError[] = [];
  const isUnchanged = old !== undefined && old !== null && deepEqual(value, old);
  if (node.rules.length > 0) errors.push(...validateRules(node, value, old, path, isUnchanged));
  if (Array.isArray(value)) {
    const { items } = node;
    if (items !== undefined) {
      value.forEach((item: unknown, index) =>
        errors.push(...validateNode(items, item, counterpart(item, old, node.schema), path.index(index))),
      );
    }
    return errors;
  }
  if (!isJsonObject(value)) return errors;
  const oldObject = isJsonObject(old) ? old : {};
  for (const [name, child] of node.properties) {
    if (Object.hasOwn(value, name)) {
      errors.push(...validateNode(child, value[name], oldObject[name], path.child(name)));
    }
  }
  if (node.additional !== undefined) {
    for (const name of Object.keys(value).sort()) {
      errors.push(...validateNode(node.additional, value[name], oldObject[name], path.key(name)));
    }
  }
  return errors;
}

/** The element of the old list that is the same one: only lists of type map tell. */
function counterpart(item: unknown, old: unknown, schema: JsonSchema): unknown {
  if (schema['x-kubernetes-list-type'] !== 'map' || !Array.isArray(old) || !isJsonObject(item))
    return undefined;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  return old.find(
    (each: unknown) => isJsonObject(each) && keys.every((key) => deepEqual(each[key], item[key])),
  );
}

function validateRules(
  node: RuleNode,
  value: unknown,
  old: unknown,
  path: FieldPath,
  isUnchanged: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const self = toCel(value, node.schema, node.types);
  const hasOld = old !== undefined && old !== null;
  const oldSelf = hasOld ? toCel(old, node.schema, node.types) : undefined;
  for (const compiled of node.rules) {
    const { rule, isTransition } = compiled;
    const isOptional = rule.optionalOldSelf === true;
    if (isTransition && !hasOld && !isOptional) continue;
    // What was stored already may stay, whatever the rules of today say.
    if (isUnchanged && !isTransition) continue;
    const context = isOptional
      ? { self, oldSelf: hasOld ? Optional.of(oldSelf) : Optional.none() }
      : { self, oldSelf: oldSelf ?? null };
    let detail: string | undefined;
    try {
      if (compiled.evaluate(context) === true) continue;
      detail = messageOf(compiled, context);
    } catch (error) {
      const told = rule.message !== undefined && rule.message !== '' ? rule.message : rule.rule;
      detail = `${evaluationMessage(error)} evaluating rule: ${told.trim()}`;
    }
    errors.push(ruleError(rule, value, errorPath(rule, path), detail));
  }
  return errors;
}

function messageOf({ rule, message }: CompiledRule, context: object): string {
  if (message !== undefined) {
    try {
      const text: unknown = message(context as Record<string, unknown>);
      if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) return text.trim();
    } catch {
      // The plain message serves where the expression fails.
    }
  }
  if (rule.message !== undefined && rule.message !== '') return rule.message.trim();
  return `failed rule: ${rule.rule.trim()}`;
}

function errorPath(rule: ValidationRule, path: FieldPath): FieldPath {
  const text = (rule.fieldPath ?? '').replaceAll(/\['([^']+)'\]/g, '.$1');
  if (text === '') return path;
  const relative = text.startsWith('.') ? text.slice(1) : text;
  return path.child(relative);
}

function ruleError(rule: ValidationRule, value: unknown, path: FieldPath, detail: string): FieldError {
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return fieldError.forbidden(path, detail);
    case 'FieldValueRequired':
      return fieldError.required(path, detail);
    case 'FieldValueDuplicate': {
      const error = fieldError.duplicate(path, value);
      return {
        ...error,
        message: `${typeof value === 'object' ? 'Duplicate value' : error.message}: ${detail}`,
      };
    }
    default:
      if (typeof value === 'object' && value !== null) {
        return { type: 'FieldValueInvalid', field: path.toString(), message: `Invalid value: ${detail}` };
      }
      return fieldError.invalid(path, value, detail);
  }
}
