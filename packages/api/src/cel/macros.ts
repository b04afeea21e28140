import type { CelNode, FoldNode } from './ast.ts';
import { accumulatorName } from './ast.ts';

type Report = (at: number, text: string) => void;

/**
 * `e.all(x, p)` and its kin as plain nodes; undefined: the call is no macro. Wrong arguments are told to `report`. `bindings` has `cel.bind`,
 * which only selectors of devices have.
 */
export function expandMacro(
  name: string,
  target: CelNode | undefined,
  args: readonly CelNode[],
  at: number,
  report: Report,
  bindings: boolean,
): CelNode | undefined {
  const make = new Maker(at, report);
  if (target === undefined)
    return name === 'has' && args.length === 1 ? make.has(args[0] as CelNode) : undefined;
  if (bindings && isNamespace(target, 'cel') && name === 'bind' && args.length === 3)
    return make.bind(args[0] as CelNode, args[1] as CelNode, args[2] as CelNode);
  const [first, second, third, fourth] = args as [CelNode, CelNode, CelNode, CelNode];
  switch (`${name}/${args.length}`) {
    case 'all/2':
      return make.quantifier('all', target, [first], second);
    case 'exists/2':
      return make.quantifier('exists', target, [first], second);
    case 'exists_one/2':
    case 'existsOne/2':
      return make.quantifier('one', target, [first], second);
    case 'all/3':
      return make.quantifier('all', target, [first, second], third);
    case 'exists/3':
      return make.quantifier('exists', target, [first, second], third);
    case 'exists_one/3':
    case 'existsOne/3':
      return make.quantifier('one', target, [first, second], third);
    case 'map/2':
      return make.list(target, [first], undefined, second);
    case 'map/3':
      return make.list(target, [first], second, third);
    case 'filter/2':
      return make.list(target, [first], second, first);
    case 'transformList/3':
      return make.list(target, [first, second], undefined, third);
    case 'transformList/4':
      return make.list(target, [first, second], third, fourth);
    case 'transformMap/3':
      return make.map(target, [first, second], undefined, third);
    case 'transformMap/4':
      return make.map(target, [first, second], third, fourth);
    case 'transformMapEntry/3':
      return make.mapEntry(target, [first, second], undefined, third);
    case 'transformMapEntry/4':
      return make.mapEntry(target, [first, second], third, fourth);
    case 'optMap/2':
      return make.optional(target, first, second, true);
    case 'optFlatMap/2':
      return make.optional(target, first, second, false);
    case 'sortBy/2':
      return make.sortBy(target, first, second);
    default:
      return undefined;
  }
}

const isNamespace = (node: CelNode, name: string): boolean => node.kind === 'ident' && node.name === name;

class Maker {
  readonly #at: number;
  readonly #report: Report;

  constructor(at: number, report: Report) {
    this.#at = at;
    this.#report = report;
  }

  has(argument: CelNode): CelNode | undefined {
    if (argument.kind === 'select') return { ...argument, isTest: true, at: this.#at };
    if (argument.kind === 'call' && argument.name === '_?._') {
      return this.#call('hasValue', [], argument);
    }
    this.#report(argument.at, 'invalid argument to has() macro');
    return this.#literal(false);
  }

  bind(variable: CelNode, value: CelNode, body: CelNode): CelNode {
    const name = this.#name(variable, 'cel.bind() variable names must be simple identifiers');
    return {
      kind: 'fold',
      range: this.#list([]),
      variable: '#unused',
      variable2: undefined,
      accumulator: name,
      init: value,
      condition: this.#literal(false),
      step: this.#ident(name),
      result: body,
      at: this.#at,
    };
  }

  quantifier(
    kind: 'all' | 'exists' | 'one',
    range: CelNode,
    variables: readonly CelNode[],
    predicate: CelNode,
  ): CelNode {
    const accumulator = this.#ident(accumulatorName);
    const strict = (node: CelNode): CelNode => this.#call('@not_strictly_false', [node]);
    switch (kind) {
      case 'all':
        return this.#fold(range, variables, {
          init: this.#literal(true),
          condition: strict(accumulator),
          step: this.#call('_&&_', [accumulator, predicate]),
        });
      case 'exists':
        return this.#fold(range, variables, {
          init: this.#literal(false),
          condition: strict(this.#call('!_', [accumulator])),
          step: this.#call('_||_', [accumulator, predicate]),
        });
      default:
        return this.#fold(range, variables, {
          init: this.#literal(0n),
          condition: this.#literal(true),
          step: this.#call('_?_:_', [
            predicate,
            this.#call('_+_', [accumulator, this.#literal(1n)]),
            accumulator,
          ]),
          result: this.#call('_==_', [accumulator, this.#literal(1n)]),
        });
    }
  }

  list(
    range: CelNode,
    variables: readonly CelNode[],
    filter: CelNode | undefined,
    transform: CelNode,
  ): CelNode {
    const accumulator = this.#ident(accumulatorName);
    const step = this.#call('_+_', [accumulator, this.#list([transform])]);
    return this.#fold(range, variables, {
      init: this.#list([]),
      condition: this.#literal(true),
      step: filter === undefined ? step : this.#call('_?_:_', [filter, step, accumulator]),
    });
  }

  map(
    range: CelNode,
    variables: readonly CelNode[],
    filter: CelNode | undefined,
    transform: CelNode,
  ): CelNode {
    const [key] = variables as [CelNode];
    const insert = [key.kind === 'ident' ? this.#ident(key.name) : key, transform];
    return this.#insertion(range, variables, filter, insert);
  }

  mapEntry(
    range: CelNode,
    variables: readonly CelNode[],
    filter: CelNode | undefined,
    entry: CelNode,
  ): CelNode {
    return this.#insertion(range, variables, filter, [entry]);
  }

  #insertion(
    range: CelNode,
    variables: readonly CelNode[],
    filter: CelNode | undefined,
    inserted: readonly CelNode[],
  ): CelNode {
    const accumulator = this.#ident(accumulatorName);
    const step = this.#call('cel.@mapInsert', [accumulator, ...inserted]);
    return this.#fold(range, variables, {
      init: { kind: 'map', entries: [], at: this.#at },
      condition: this.#literal(true),
      step: filter === undefined ? step : this.#call('_?_:_', [filter, step, accumulator]),
    });
  }

  optional(target: CelNode, variable: CelNode, body: CelNode, wraps: boolean): CelNode {
    const name = this.#name(variable, 'optMap() variable name must be a simple identifier');
    const optional = (method: string, args: CelNode[]): CelNode =>
      this.#call(method, args, this.#ident('optional'));
    const bound = this.bind(this.#ident(name), this.#call('value', [], target), body);
    return this.#call('_?_:_', [
      this.#call('hasValue', [], target),
      wraps ? optional('of', [bound]) : bound,
      optional('none', []),
    ]);
  }

  sortBy(target: CelNode, variable: CelNode, key: CelNode): CelNode {
    const sorted = '@__sortBy_input__';
    const keys = this.list(this.#ident(sorted), [variable], undefined, key);
    const body = this.#call('@sortByAssociatedKeys', [keys], this.#ident(sorted));
    return this.bind(this.#ident(sorted), target, body);
  }

  #fold(
    range: CelNode,
    variables: readonly CelNode[],
    parts: { init: CelNode; condition: CelNode; step: CelNode; result?: CelNode },
  ): CelNode {
    const [first, second] = variables.map((each) => this.#name(each, 'argument must be a simple name'));
    if (first !== undefined && first === second)
      this.#report(variables[1]?.at ?? this.#at, `duplicate variable name: ${second}`);
    return {
      kind: 'fold',
      range,
      variable: first ?? '',
      variable2: second,
      accumulator: accumulatorName,
      init: parts.init,
      condition: parts.condition,
      step: parts.step,
      result: parts.result ?? this.#ident(accumulatorName),
      at: this.#at,
    } satisfies FoldNode;
  }

  #name(node: CelNode, problem: string): string {
    if (node.kind === 'ident') return node.name;
    this.#report(node.at, problem);
    return '_';
  }

  #call(name: string, args: readonly CelNode[], target?: CelNode): CelNode {
    return { kind: 'call', name, target, args, at: this.#at };
  }

  #ident(name: string): CelNode {
    return { kind: 'ident', name, at: this.#at };
  }

  #list(items: readonly CelNode[]): CelNode {
    return { kind: 'list', items, optional: new Set(), at: this.#at };
  }

  #literal(value: unknown): CelNode {
    return { kind: 'literal', value, at: this.#at };
  }
}
