import type { TypeCheckResult } from '@marcbachmann/cel-js';
import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { compilationMessage } from '../../cel/messages.ts';
import type { JsonSchema, ValidationRule } from '../schema.ts';
import { additionalOf, itemsOf } from '../schema.ts';
import { hasRules, mentionsOldSelf } from './rules.ts';
import { SchemaTypes, visibleSchema } from './schema-types.ts';

/** Checks that the rules of a definition's schema compile, and to the right types. `path` is that of the schema. */
export function validateSchemaRules(schema: JsonSchema, path: FieldPath): FieldError[] {
  return validateAt(schema, path, true, undefined);
}

function validateAt(
  given: JsonSchema,
  path: FieldPath,
  isRoot: boolean,
  /** Innermost place above from where on old and new values cannot be matched. */
  uncorrelatable: FieldPath | undefined,
): FieldError[] {
  if (!hasRules(given)) return [];
  const schema = visibleSchema(given, isRoot);
  const errors: FieldError[] = [];
  const rules = given['x-kubernetes-validations'] ?? [];
  if (rules.length > 0) {
    const types = new SchemaTypes();
    const type = types.typeOf(schema);
    rules.forEach((rule, index) => {
      const at = path.child('x-kubernetes-validations').index(index);
      const oldType = rule.optionalOldSelf === true ? `optional<${type}>` : type;
      const environment = types.environment
        .clone()
        .registerVariable('self', type)
        .registerVariable('oldSelf', oldType);
      errors.push(...validateRule(rule, (text) => environment.check(text), at));
      if (uncorrelatable !== undefined && mentionsOldSelf(rule.rule)) {
        errors.push(
          fieldError.invalid(
            at.child('rule'),
            rule.rule,
            `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable.text}`,
          ),
        );
      }
    });
  }
  for (const name of Object.keys(given.properties ?? {}).sort()) {
    const child = given.properties?.[name] as JsonSchema;
    const isAtomic = given['x-kubernetes-map-type'] === 'atomic';
    errors.push(
      ...validateAt(
        child,
        path.child('properties').key(name),
        false,
        uncorrelatable ?? (isAtomic ? path : undefined),
      ),
    );
  }
  const additional = additionalOf(given);
  if (additional !== undefined) {
    errors.push(...validateAt(additional, path.child('additionalProperties'), false, uncorrelatable));
  }
  const items = itemsOf(given);
  if (items !== undefined) {
    const isMap = given['x-kubernetes-list-type'] === 'map';
    errors.push(
      ...validateAt(items, path.child('items'), false, uncorrelatable ?? (isMap ? undefined : path)),
    );
  }
  return errors;
}

function validateRule(
  rule: ValidationRule,
  check: (text: string) => TypeCheckResult,
  at: FieldPath,
): FieldError[] {
  if (rule.rule.trim() === '') return [];
  const errors: FieldError[] = [];
  const invalid = (member: string, detail: string): void => {
    errors.push(fieldError.invalid(at.child(member), internalRule(rule), detail));
  };
  const compiled = check(rule.rule);
  if (!compiled.valid)
    invalid('rule', `compilation failed: ${compilationMessage(rule.rule, compiled.error)}`);
  else if (compiled.type !== 'bool' && compiled.type !== 'dyn') {
    invalid('rule', 'cel expression must evaluate to a bool');
  }
  const expression = rule.messageExpression ?? '';
  if (expression.trim() !== '') {
    const message = check(expression);
    if (!message.valid) {
      invalid(
        'messageExpression',
        `messageExpression compilation failed: ${compilationMessage(expression, message.error)}`,
      );
    } else if (message.type !== 'string')
      invalid('messageExpression', 'messageExpression must evaluate to a string');
  }
  return errors;
}

/** The rule as messages show it: upstream's internal type. */
function internalRule(rule: ValidationRule): object {
  return {
    Rule: rule.rule,
    Message: rule.message ?? '',
    MessageExpression: rule.messageExpression ?? '',
    Reason: rule.reason ?? null,
    FieldPath: rule.fieldPath ?? '',
    OptionalOldSelf: rule.optionalOldSelf ?? null,
  };
}
