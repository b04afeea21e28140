import type { CelNode } from './ast.ts';
import { walk } from './ast.ts';
import { checkCel } from './checker.ts';
import { estimateCost } from './cost/estimate.ts';
import type { Range } from './cost/range.ts';
import { compileCel } from './evaluate.ts';
import { FunctionTable } from './functions.ts';
import { CelCompileError } from './issues.ts';
import { addAuthorization } from './library/authorization.ts';
import { addFormats } from './library/formats.ts';
import { addJsonPatch, addQuantities, addSemver, addUrls } from './library/kubernetes.ts';
import { addLists } from './library/lists.ts';
import { addNetwork } from './library/network.ts';
import { addOptionals } from './library/optionals.ts';
import { addStandard } from './library/standard.ts';
import { addTexts } from './library/texts.ts';
import { parseCel } from './parser.ts';
import type { CelType } from './types.ts';

/** What one evaluation of an expression may cost. */
export const celCallCostMax = 1_000_000;
/** What all expressions of one object, or of one binding of a policy, may cost together. */
export const celRequestCostMax = 10_000_000;
/** What the match conditions of one webhook or policy may cost together. */
export const celMatchConditionsCostMax = 2_500_000;

let base: FunctionTable | undefined;

/** The language's functions and those that Kubernetes adds. */
export function kubernetesFunctions(): FunctionTable {
  if (base === undefined) {
    base = new FunctionTable();
    for (const add of [
      addStandard,
      addOptionals,
      addTexts,
      addLists,
      addQuantities,
      addUrls,
      addNetwork,
      addFormats,
      addSemver,
      addAuthorization,
    ])
      add(base);
  }
  return base;
}

let patching: FunctionTable | undefined;

/** Those and what only mutations have. */
export function patchFunctions(): FunctionTable {
  if (patching === undefined) {
    patching = new FunctionTable(kubernetesFunctions());
    addJsonPatch(patching);
  }
  return patching;
}

/** The names that expressions of one place may use. */
export interface CelEnvironmentOptions {
  readonly variables: Readonly<Record<string, CelType>>;
  /** Types of objects that expressions may build. */
  readonly struct?: (name: string) => CelType | undefined;
  /** More functions, by the signatures of {@link FunctionTable.add}. */
  readonly functions?: FunctionTable;
  /** Whether there is `cel.bind`. */
  readonly bindings?: boolean;
}

/** What an evaluation gave. */
export interface CelOutcome {
  readonly value: unknown;
  readonly cost: number;
}

export class CelProgram {
  readonly source: string;
  /** Of the result. */
  readonly type: CelType;
  readonly #root: CelNode;
  readonly #variables: (name: string) => CelType | undefined;
  readonly #evaluate: ReturnType<typeof compileCel>;

  constructor(
    source: string,
    root: CelNode,
    variables: (name: string) => CelType | undefined,
    struct: (name: string) => CelType | undefined,
  ) {
    this.source = source;
    this.type = root.type as CelType;
    this.#root = root;
    this.#variables = variables;
    this.#evaluate = compileCel(root, struct);
  }

  /** The least and the most that an evaluation can cost, by the bounds of the variables' types. */
  get estimatedCost(): Range {
    return estimateCost(this.#root, this.#variables);
  }

  /** Whether the expression reads a variable. */
  uses(variable: string): boolean {
    let found = false;
    walk(this.#root, (node) => {
      if (node.kind === 'ident' && node.name === variable) found = true;
    });
    return found;
  }

  /**
   * The value for these variables (values or `undefined`). Throws CelEvaluationError when there is none, or when it costs more than
   * `costLimit`.
   */
  run(lookup: (name: string) => unknown, costLimit: number = celCallCostMax): CelOutcome {
    const frame = { lookup, locals: [], cost: 0, costLimit };
    const value = this.#evaluate(frame);
    return { value, cost: frame.cost };
  }
}

/** Compiles expressions over one set of names. */
export class CelEnvironment {
  readonly #options: CelEnvironmentOptions;
  readonly #functions: FunctionTable;

  constructor(options: CelEnvironmentOptions) {
    this.#options = options;
    this.#functions = options.functions ?? kubernetesFunctions();
  }

  /** Parses and checks. Throws {@link CelCompileError}, whose message is in upstream's words. */
  compile(source: string): CelProgram {
    const root = parseCel(source, this.#options.bindings);
    const struct = this.#options.struct ?? (() => undefined);
    const { variables } = this.#options;
    const variable = (name: string): CelType | undefined =>
      Object.hasOwn(variables, name) ? variables[name] : undefined;
    const issues = checkCel(root, { functions: this.#functions, variable, struct });
    if (issues.length > 0) throw new CelCompileError(source, issues);
    return new CelProgram(source, root, variable, struct);
  }
}
