import type { GroupVersionKind } from '@pilothouse/apimachinery';
import type { JsonSchema } from '../apiextensions/schema.ts';
import { schemaType } from '../apiextensions/cel/schema-types.ts';
import { CelCompileError } from '../cel/issues.ts';
import type { CelType } from '../cel/types.ts';
import { celTypes } from '../cel/types.ts';
import { policyEnvironment } from './policy-expressions.ts';

/** A kind that a policy is about, with the schema of its objects. */
export interface CheckedKind {
  readonly kind: GroupVersionKind;
  readonly schema: JsonSchema;
}

export interface ExpressionWarning {
  /** For example `spec.validations[0].expression`. */
  readonly fieldRef: string;
  /** For each kind that the expression does not fit, upstream's text. */
  readonly warning: string;
}

export interface CheckedPolicy {
  readonly paramKind?: object;
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly validations?: readonly { readonly expression: string; readonly messageExpression?: string }[];
}

/** What the expressions of a policy would do wrong to objects of these kinds. Never throws; it changes nothing about how the policy works. */
export function expressionWarnings(
  policy: CheckedPolicy,
  kinds: readonly CheckedKind[],
  params: JsonSchema | undefined,
): ExpressionWarning[] {
  const found: ExpressionWarning[] = [];
  const checks = kinds.map((checked) => checkOf(policy, checked, params));
  const check = (source: string | undefined, fieldRef: string): void => {
    if (source === undefined || source === '') return;
    const texts = checks.map((each) => each(source)).filter((text) => text !== '');
    if (texts.length > 0) found.push({ fieldRef, warning: texts.join('\n') });
  };
  (policy.validations ?? []).forEach(({ expression, messageExpression }, index) => {
    check(expression, `spec.validations[${index}].expression`);
    check(messageExpression, `spec.validations[${index}].messageExpression`);
  });
  return found;
}

function checkOf(
  policy: CheckedPolicy,
  { kind, schema }: CheckedKind,
  params: JsonSchema | undefined,
): (source: string) => string {
  const variables = new Map<string, CelType>();
  const environment = policyEnvironment({
    authorizer: true,
    params: policy.paramKind !== undefined,
    variables,
    object: schemaType(schema) ?? celTypes.dyn,
    ...(params === undefined ? {} : { paramsType: schemaType(params) ?? celTypes.dyn }),
  });
  const compile = (source: string): CelType | CelCompileError => {
    try {
      return environment.compile(source).type;
    } catch (error) {
      if (error instanceof CelCompileError) return error;
      throw error;
    }
  };
  for (const { name, expression } of policy.variables ?? []) {
    const type = compile(expression);
    variables.set(name, type instanceof CelCompileError ? celTypes.dyn : type);
  }
  return (source) => {
    const result = compile(source);
    if (!(result instanceof CelCompileError)) return '';
    return `${kind.group}/${kind.version}, Kind=${kind.kind}: ${result.message}\n`;
  };
}
