import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { deepEqual, fieldError, FieldPath, isJsonObject } from '@pilothouse/apimachinery';
import type { CelProgram } from '../../cel/environment.ts';
import { celCallCostMax, celRequestCostMax } from '../../cel/environment.ts';
import { CelEvaluationError } from '../../cel/issues.ts';
import { CelOptional } from '../../cel/values.ts';
import type { JsonSchema, ValidationRule } from '../schema.ts';
import { additionalOf, itemsOf } from '../schema.ts';
import { hasRules } from './rules.ts';
import { schemaType, schemaValue } from './schema-types.ts';
import { ruleEnvironment } from './validate-rules.ts';

/** The compiled rules of one schema. */
export interface RuleSet {
  /** `old` is undefined on create: transition rules are skipped then. */
  validate(object: KubeObject, old: KubeObject | undefined): FieldError[];
}

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: CelProgram;
  readonly message: CelProgram | undefined;
  readonly isTransition: boolean;
}

/** A node of a schema with rules in or below it. */
interface RuleNode {
  readonly schema: JsonSchema;
  readonly isRoot: boolean;
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
  return {
    validate: (object, old) => validateNode(root, object, old, new FieldPath(), { left: celRequestCostMax }),
  };
}

/** What the rules of a schema say of its default: as a value that stays, then as one that is new. */
export function validateDefaultRules(
  schema: JsonSchema,
  value: unknown,
  path: FieldPath,
  isRoot: boolean,
): FieldError[] {
  const node = compileNode(schema, isRoot);
  if (node === undefined) return [];
  const budget = { left: celRequestCostMax };
  const errors = validateNode(node, value, value, path, budget);
  return errors.length > 0 ? errors : validateNode(node, value, undefined, path, budget);
}

/** What the rules of one object may still cost; negative: no more are run. */
interface Budget {
  left: number;
}

function compileNode(given: JsonSchema, isRoot: boolean): RuleNode | undefined {
  if (!hasRules(given)) return undefined;
  const rules = compileOwn(given, isRoot);
  const properties = new Map<string, RuleNode>();
  for (const name of Object.keys(given.properties ?? {}).sort()) {
    const node = compileNode(given.properties?.[name] as JsonSchema, false);
    if (node !== undefined) properties.set(name, node);
  }
  const additional = additionalOf(given);
  const items = itemsOf(given);
  return {
    schema: given,
    isRoot,
    rules,
    properties,
    additional: additional === undefined ? undefined : compileNode(additional, false),
    items: items === undefined ? undefined : compileNode(items, false),
  };
}

function compileOwn(schema: JsonSchema, isRoot: boolean): CompiledRule[] {
  const rules = schema['x-kubernetes-validations'] ?? [];
  const type = rules.length === 0 ? undefined : schemaType(schema, isRoot);
  if (type === undefined) return [];
  return rules.flatMap((rule): CompiledRule[] => {
    const environment = ruleEnvironment(type, rule.optionalOldSelf === true);
    try {
      const program = environment.compile(rule.rule);
      const message = rule.messageExpression ? environment.compile(rule.messageExpression) : undefined;
      return [{ rule, program, message, isTransition: program.uses('oldSelf') }];
    } catch {
      return [];
    }
  });
}

function validateNode(
  node: RuleNode,
  value: unknown,
  old: unknown,
  path: FieldPath,
  budget: Budget,
): FieldError[] {
  if (value === null || value === undefined || budget.left < 0) return [];
  const errors: FieldError[] = [];
  const isUnchanged = old !== undefined && old !== null && deepEqual(value, old);
  if (node.rules.length > 0) errors.push(...validateRules(node, value, old, path, isUnchanged, budget));
  if (Array.isArray(value)) {
    const { items } = node;
    if (items !== undefined) {
      value.forEach((item: unknown, index) =>
        errors.push(
          ...validateNode(items, item, counterpart(item, old, node.schema), path.index(index), budget),
        ),
      );
    }
    return errors;
  }
  if (!isJsonObject(value)) return errors;
  const oldObject = isJsonObject(old) ? old : {};
  for (const [name, child] of node.properties) {
    if (Object.hasOwn(value, name)) {
      errors.push(...validateNode(child, value[name], oldObject[name], path.child(name), budget));
    }
  }
  if (node.additional !== undefined) {
    for (const name of Object.keys(value).sort()) {
      errors.push(...validateNode(node.additional, value[name], oldObject[name], path.key(name), budget));
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
  budget: Budget,
): FieldError[] {
  const errors: FieldError[] = [];
  const self = schemaValue(value, node.schema, node.isRoot);
  const hasOld = old !== undefined && old !== null;
  const oldSelf = hasOld ? schemaValue(old, node.schema, node.isRoot) : undefined;
  const stop = (detail: string): FieldError[] => {
    budget.left = -1;
    return [...errors, fieldError.invalid(path, node.schema.type ?? '', detail)];
  };
  for (const compiled of node.rules) {
    const { rule, isTransition } = compiled;
    const isOptional = rule.optionalOldSelf === true;
    if (isTransition && !hasOld && !isOptional) continue;
    // What was stored already may stay, whatever the rules of today say.
    if (isUnchanged && !isTransition) continue;
    const wrapped = !isOptional ? oldSelf : hasOld ? new CelOptional(oldSelf) : CelOptional.none;
    const lookup = (name: string): unknown => (name === 'self' ? self : wrapped);
    const told = ruleText(rule);
    try {
      const { value: holds, cost } = compiled.program.run(lookup);
      budget.left -= cost;
      if (budget.left < 0) return stop(outOfBudget);
      if (holds === true) continue;
    } catch (error) {
      const problem = error as CelEvaluationError;
      if (problem.isCostLimit)
        return stop(
          `'${problem.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${told}`,
        );
      const detail = problem.message.startsWith('no such overload')
        ? `'${problem.message}': call arguments did not match a supported operator, function or macro signature for rule: ${told}`
        : `${problem.message} evaluating rule: ${told}`;
      errors.push(fieldError.invalid(path, node.schema.type ?? '', detail));
      continue;
    }
    errors.push(ruleError(rule, value, errorPath(rule, path), messageOf(compiled, lookup, budget)));
  }
  return errors;
}

const outOfBudget =
  'validation failed due to running out of cost budget, no further validation rules will be run';
const messageBytesMax = 5 * 1024;

const ruleText = (rule: ValidationRule): string =>
  (rule.message !== undefined && rule.message !== '' ? rule.message : rule.rule).trim();

function messageOf(
  { rule, message }: CompiledRule,
  lookup: (name: string) => unknown,
  budget: Budget,
): string {
  if (message !== undefined) {
    try {
      const { value, cost } = message.run(lookup, Math.min(celCallCostMax, budget.left));
      budget.left -= cost;
      const text = typeof value === 'string' ? value.trim() : '';
      if (text !== '' && text.length <= messageBytesMax && !text.includes('\n')) return text;
    } catch (error) {
      // The plain message serves where the expression fails.
      if (!(error instanceof CelEvaluationError)) throw error;
    }
  }
  return rule.message !== undefined && rule.message !== ''
    ? rule.message.trim()
    : `failed rule: ${ruleText(rule)}`;
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
    case 'FieldValueDuplicate':
      return typeof value === 'object' && value !== null
        ? { type: 'FieldValueDuplicate', field: path.toString(), message: 'Duplicate value' }
        : fieldError.duplicate(path, value);
    default:
      if (typeof value === 'object' && value !== null) {
        return { type: 'FieldValueInvalid', field: path.toString(), message: `Invalid value: ${detail}` };
      }
      return fieldError.invalid(path, value, detail);
  }
}
