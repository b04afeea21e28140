import {
  CelAuthorizer,
  celCallCostMax,
  CelEvaluationError,
  celMatchConditionsCostMax,
  CelObject,
  CelPending,
  celRequestCostMax,
  celResourceCheck,
  celTypes,
  fromJson,
} from '@pilothouse/api/cel';
import type { CelAuthorize, CelType } from '@pilothouse/api/cel';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { AdmissionAttributes } from '../interface.ts';
import { originalOf } from '../versioned-attributes.ts';
import type { CompiledPolicy, Expression } from './compiled-policy.ts';

/** Cost units that expressions may still use. */
export class CelBudget {
  left: number;
  constructor(units: number = celRequestCostMax) {
    this.left = units;
  }
}

/** The budget is used up: nothing more is evaluated. */
export class OutOfBudget extends Error {
  constructor(
    message = 'validation failed due to running out of cost budget, no further validation rules will be run',
  ) {
    super(message);
    this.name = 'OutOfBudget';
  }
}

/** An expression could not be evaluated; the message names it. */
export class ExpressionFailed extends Error {
  override readonly name = 'ExpressionFailed';
}

/** A policy's expressions on one request with one parameter. */
export class PolicyEvaluation {
  readonly #variables: Record<string, unknown>;
  readonly #budget: CelBudget;

  constructor(
    policy: Pick<CompiledPolicy, 'variables'> | undefined,
    request: Readonly<Record<string, unknown>>,
    attributes: AdmissionAttributes,
    authorize: CelAuthorize,
    params: KubeObject | undefined,
    budget = new CelBudget(),
  ) {
    this.#budget = budget;
    const authorizer = new CelAuthorizer(authorize);
    const { resource, subresource, namespace, name } = originalOf(attributes);
    this.#variables = {
      ...request,
      params: fromJson(params ?? null),
      authorizer,
      'authorizer.requestResource': celResourceCheck(authorizer, {
        group: resource.group,
        resource: resource.resource,
        subresource,
        namespace,
        name,
      }),
    };
    if (policy !== undefined)
      this.#variables['variables'] = new ComposedVariables(policy.variables, (expression) =>
        this.#run(expression),
      );
  }

  /** The same with other values of the request, for mutations after the first. */
  set(name: string, value: unknown): void {
    this.#variables[name] = value;
  }

  /** The value. Throws {@link ExpressionFailed} and {@link OutOfBudget}. Waits for the authorizer where it is asked. */
  async evaluate(expression: Expression): Promise<unknown> {
    for (;;) {
      try {
        return this.#run(expression);
      } catch (error) {
        if (error instanceof CelPending) await error.resolve();
        else if (error instanceof CelEvaluationError)
          throw new ExpressionFailed(
            `expression '${expression.source}' resulted in error: ${error.message}`,
            {
              cause: error,
            },
          );
        else throw error;
      }
    }
  }

  #run({ program, problem }: Expression): unknown {
    if (program === undefined) throw new CelEvaluationError(problem);
    const { value, cost } = program.run(
      (name) => (Object.hasOwn(this.#variables, name) ? this.#variables[name] : undefined),
      celCallCostMax,
    );
    this.#budget.left -= cost;
    if (this.#budget.left < 0) throw new OutOfBudget();
    return value;
  }
}

/** `variables`: each is evaluated when it is first read. */
class ComposedVariables extends CelObject {
  readonly type: CelType = { ...celTypes.dyn, name: 'kubernetes.variables' };
  readonly #expressions: ReadonlyMap<string, Expression>;
  readonly #run: (expression: Expression) => unknown;
  readonly #known = new Map<string, unknown>();

  constructor(expressions: ReadonlyMap<string, Expression>, run: (expression: Expression) => unknown) {
    super();
    this.#expressions = expressions;
    this.#run = run;
  }

  get(field: string): unknown {
    if (this.#known.has(field)) return this.#known.get(field);
    const expression = this.#expressions.get(field);
    if (expression === undefined) return undefined;
    let value: unknown;
    try {
      value = this.#run(expression);
    } catch (error) {
      if (error instanceof CelEvaluationError && !error.isCostLimit)
        throw new CelEvaluationError(
          expression.program === undefined
            ? `composited variable ${JSON.stringify(field)} fails to compile: ${error.message}`
            : `composited variable ${JSON.stringify(field)} fails to evaluate: ${error.message}`,
        );
      throw error;
    }
    this.#known.set(field, value);
    return value;
  }

  fields(): readonly string[] {
    return [...this.#expressions.keys()];
  }
}

/**
 * Whether all match conditions hold. One that is false decides, whatever fails beside it; failures alone are thrown as one Error.
 */
export async function conditionsHold(
  conditions: readonly Expression[],
  evaluationOf: (budget: CelBudget) => PolicyEvaluation,
): Promise<boolean> {
  if (conditions.length === 0) return true;
  const evaluation = evaluationOf(new CelBudget(celMatchConditionsCostMax));
  const failures: string[] = [];
  for (const condition of conditions) {
    try {
      if ((await evaluation.evaluate(condition)) === false) return false;
    } catch (error) {
      if (error instanceof OutOfBudget) throw error;
      failures.push((error as Error).message);
    }
  }
  if (failures.length === 0) return true;
  throw new ExpressionFailed(failures.length === 1 ? (failures[0] as string) : `[${failures.join(', ')}]`);
}
