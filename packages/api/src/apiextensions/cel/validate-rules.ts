import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { deepEqual, fieldError } from '@pilothouse/apimachinery';
import type { CelProgram } from '../../cel/environment.ts';
import { CelEnvironment } from '../../cel/environment.ts';
import { CelCompileError } from '../../cel/issues.ts';
import type { CelType } from '../../cel/types.ts';
import { optionalType } from '../../cel/types.ts';
import type { JsonSchema, ValidationRule } from '../schema.ts';
import { additionalOf, itemsOf } from '../schema.ts';
import type { Cardinality } from './rule-cost.ts';
import { childCardinality, costMessage, ruleCostMax, SchemaCost, totalRuleCost } from './rule-cost.ts';
import { hasRules } from './rules.ts';
import { schemaType } from './schema-types.ts';

/**
 * Checks that the rules of a definition's schema compile, to the right types, and within their budgets. `path` is that of the schema;
 * `before` is the schema of the same version that is stored already, whose rules may cost what they do.
 */
export function validateSchemaRules(schema: JsonSchema, path: FieldPath, before?: JsonSchema): FieldError[] {
  const costs = new SchemaCost();
  const isCostSuppressed = before !== undefined && deepEqual(schema, before);
  const validator = new RuleValidator(costs, isCostSuppressed);
  const errors = validator.validate(schema, path, true, undefined, 1);
  return [...errors, ...(isCostSuppressed ? [] : costs.errors(path))];
}

/** The environment of a schema's rules. */
export function ruleEnvironment(type: CelType, optionalOldSelf: boolean): CelEnvironment {
  return new CelEnvironment({
    variables: { self: type, oldSelf: optionalOldSelf ? optionalType(type) : type },
  });
}

class RuleValidator {
  readonly #costs: SchemaCost;
  readonly #isCostSuppressed: boolean;

  constructor(costs: SchemaCost, isCostSuppressed: boolean) {
    this.#costs = costs;
    this.#isCostSuppressed = isCostSuppressed;
  }

  validate(
    schema: JsonSchema,
    path: FieldPath,
    isRoot: boolean,
    /** Innermost place above from where on old and new values cannot be matched. */
    uncorrelatable: FieldPath | undefined,
    cardinality: Cardinality,
  ): FieldError[] {
    if (!hasRules(schema)) return [];
    const errors: FieldError[] = [];
    const below = childCardinality(cardinality, schema);
    const additional = additionalOf(schema);
    if (additional !== undefined)
      errors.push(
        ...this.validate(additional, path.child('additionalProperties'), false, uncorrelatable, below),
      );
    const isAtomic = schema['x-kubernetes-map-type'] === 'atomic';
    for (const name of Object.keys(schema.properties ?? {}).sort()) {
      const child = schema.properties?.[name] as JsonSchema;
      const at = path.child('properties').key(name);
      errors.push(...this.validate(child, at, false, uncorrelatable ?? (isAtomic ? path : undefined), below));
    }
    const items = itemsOf(schema);
    if (items !== undefined) {
      const isMap = schema['x-kubernetes-list-type'] === 'map';
      const within = uncorrelatable ?? (isMap ? undefined : path);
      errors.push(...this.validate(items, path.child('items'), false, within, below));
    }
    const type = schemaType(schema, isRoot);
    if (type === undefined) return errors;
    (schema['x-kubernetes-validations'] ?? []).forEach((rule, index) => {
      const at = path.child('x-kubernetes-validations').index(index);
      errors.push(...this.#validateRule(rule, type, at, uncorrelatable, cardinality));
    });
    return errors;
  }

  #validateRule(
    rule: ValidationRule,
    type: CelType,
    at: FieldPath,
    uncorrelatable: FieldPath | undefined,
    cardinality: Cardinality,
  ): FieldError[] {
    if (rule.rule.trim() === '') return [];
    const errors: FieldError[] = [];
    const environment = ruleEnvironment(type, rule.optionalOldSelf === true);
    const program = compiled(environment, rule.rule);
    let usesOldSelf = false;
    if (typeof program === 'string') {
      errors.push(fieldError.invalid(at.child('rule'), internalRule(rule), `compilation failed: ${program}`));
    } else if (program.type.kind !== 'bool') {
      errors.push(
        fieldError.invalid(at.child('rule'), internalRule(rule), 'cel expression must evaluate to a bool'),
      );
    } else {
      usesOldSelf = program.uses('oldSelf');
      errors.push(
        ...this.#charge(
          at.child('rule'),
          totalRuleCost(program.estimatedCost.max, cardinality, type),
          'estimated rule cost',
        ),
        ...this.#message(rule, environment, at),
      );
    }
    if (usesOldSelf && uncorrelatable !== undefined) {
      errors.push(
        fieldError.invalid(
          at.child('rule'),
          rule.rule,
          `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable.text}`,
        ),
      );
    } else if (!usesOldSelf && rule.optionalOldSelf !== undefined) {
      errors.push(
        fieldError.invalid(
          at.child('optionalOldSelf'),
          rule.optionalOldSelf,
          'may not be set if oldSelf is not used in rule',
        ),
      );
    }
    return errors;
  }

  #message(rule: ValidationRule, environment: CelEnvironment, at: FieldPath): FieldError[] {
    const expression = rule.messageExpression ?? '';
    if (expression.trim() === '') return [];
    const path = at.child('messageExpression');
    const program = compiled(environment, expression);
    if (typeof program === 'string')
      return [
        fieldError.invalid(path, internalRule(rule), `messageExpression compilation failed: ${program}`),
      ];
    if (program.type.kind !== 'string')
      return [fieldError.invalid(path, internalRule(rule), 'messageExpression must evaluate to a string')];
    return this.#charge(path, program.estimatedCost.max, 'estimated messageExpression cost');
  }

  #charge(path: FieldPath, cost: number, what: string): FieldError[] {
    this.#costs.add(path, cost);
    if (this.#isCostSuppressed || cost <= ruleCostMax) return [];
    return [fieldError.forbidden(path, costMessage(what, cost, ruleCostMax))];
  }
}

function compiled(environment: CelEnvironment, source: string): CelProgram | string {
  try {
    return environment.compile(source);
  } catch (error) {
    if (error instanceof CelCompileError) return error.message;
    throw error;
  }
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
