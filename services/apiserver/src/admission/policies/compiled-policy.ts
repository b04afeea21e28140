import type { CelProgram, CelType } from '@pilothouse/api/cel';
import { CelCompileError, celTypes, listType } from '@pilothouse/api/cel';
import type { PolicyNames } from '@pilothouse/api/admissionregistration';
import {
  CelResultTypeError,
  compileTo,
  jsonPatchType,
  patchObjectType,
  policyEnvironment,
} from '@pilothouse/api/admissionregistration';
import type { MatchCondition } from '../webhooks/webhook.ts';
import type { MutatingPolicySpec, PolicySpec, ValidatingPolicySpec } from './policy.ts';

/** An expression, ready or with what is wrong about it: a stored one may be from before a rule got stricter. */
export interface Expression {
  readonly source: string;
  readonly program: CelProgram | undefined;
  readonly problem: string;
}

export interface CompiledPolicy {
  readonly conditions: readonly Expression[];
  readonly variables: ReadonlyMap<string, Expression>;
  readonly validations: readonly { readonly holds: Expression; readonly message: Expression | undefined }[];
  readonly annotations: readonly { readonly key: string; readonly value: Expression }[];
  readonly mutations: readonly { readonly isJsonPatch: boolean; readonly patch: Expression }[];
}

const policies = new WeakMap<PolicySpec, CompiledPolicy>();

/** The policy's expressions; compiled once for each stored state of it. */
export function compiledPolicy(spec: ValidatingPolicySpec & MutatingPolicySpec): CompiledPolicy {
  let known = policies.get(spec);
  if (known === undefined) {
    known = compilePolicy(spec);
    policies.set(spec, known);
  }
  return known;
}

function compilePolicy(spec: ValidatingPolicySpec & MutatingPolicySpec): CompiledPolicy {
  const params = spec.paramKind !== undefined;
  const types = new Map<string, CelType>();
  const names = (more: PolicyNames = {}): PolicyNames => ({
    params,
    authorizer: true,
    ...((spec.variables ?? []).length > 0 ? { variables: types } : {}),
    ...more,
  });
  const variables = new Map<string, Expression>();
  for (const { name, expression } of spec.variables ?? []) {
    const compiled = compileExpression(expression, names(), []);
    variables.set(name, compiled);
    types.set(name, compiled.program?.type ?? celTypes.dyn);
  }
  return {
    variables,
    conditions: compileConditions(spec.matchConditions ?? [], params),
    validations: (spec.validations ?? []).map(({ expression, messageExpression }) => ({
      holds: compileExpression(expression, names(), [celTypes.bool]),
      message:
        messageExpression === undefined || messageExpression === ''
          ? undefined
          : compileExpression(messageExpression, names({ authorizer: false }), [celTypes.string]),
    })),
    annotations: (spec.auditAnnotations ?? []).map(({ key, valueExpression }) => ({
      key,
      value: compileExpression(valueExpression, names(), [celTypes.string, celTypes.null]),
    })),
    mutations: (spec.mutations ?? []).map(({ patchType, jsonPatch, applyConfiguration }) => {
      const isJsonPatch = patchType === 'JSONPatch';
      const source = (isJsonPatch ? jsonPatch : applyConfiguration)?.expression ?? '';
      const result = isJsonPatch ? listType(jsonPatchType) : patchObjectType;
      return { isJsonPatch, patch: compileExpression(source, names({ patches: true }), [result]) };
    }),
  };
}

const conditionCache = new WeakMap<readonly MatchCondition[], readonly Expression[]>();

/** The match conditions of a webhook or a policy. */
export function compileConditions(
  conditions: readonly MatchCondition[],
  params: boolean,
): readonly Expression[] {
  let known = conditionCache.get(conditions);
  if (known === undefined) {
    known = conditions.map(({ expression }) =>
      compileExpression(expression.trim(), { params, authorizer: true }, [celTypes.bool]),
    );
    conditionCache.set(conditions, known);
  }
  return known;
}

function compileExpression(source: string, names: PolicyNames, types: readonly CelType[]): Expression {
  try {
    return { source, program: compileTo(policyEnvironment(names), source, types), problem: '' };
  } catch (error) {
    if (error instanceof CelCompileError)
      return {
        source,
        program: undefined,
        problem: `compilation error: compilation failed: ${error.message}`,
      };
    if (error instanceof CelResultTypeError)
      return { source, program: undefined, problem: `compilation error: ${error.message}` };
    throw error;
  }
}
