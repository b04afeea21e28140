import type { CallNode, CelNode, FoldNode, SelectNode } from '../ast.ts';
import { accumulatorName } from '../ast.ts';
import type { CelType } from '../types.ts';
import { codePoints } from '../values.ts';
import { callEstimate } from './call-estimate.ts';
import type { Range } from './range.ts';
import { add, fixed, multiply, noCost, union, unknownRange } from './range.ts';

/** Sizes of what a list or map holds. */
interface EntrySize {
  readonly isList: boolean;
  readonly key: Range;
  readonly value: Range;
}

interface Local {
  readonly name: string;
  /** The declared type behind it; undefined: no declaration leads there. */
  readonly declared: CelType | undefined;
  readonly size: Range | undefined;
  readonly entry: EntrySize | undefined;
}

/** An argument as estimates of functions see it. */
export interface SizedNode {
  readonly node: CelNode;
  readonly type: CelType;
  readonly size: Range;
  /** Element of a list: its type and size. */
  readonly element: { readonly type: CelType; readonly size: Range } | undefined;
}

/**
 * The cost of a checked expression before it is run: from smallest to largest, in upstream's units. Sizes come from literals and from
 * the bounds in the declared types of variables.
 */
export function estimateCost(root: CelNode, variable: (name: string) => CelType | undefined): Range {
  return new Estimator(variable).cost(root);
}

class Estimator {
  readonly #variable: (name: string) => CelType | undefined;
  readonly #declared = new Map<CelNode, CelType>();
  readonly #sizes = new Map<CelNode, Range>();
  readonly #entries = new Map<CelNode, EntrySize>();
  readonly #locals: Local[] = [];
  /**
   * What has no declaration of its own (items of a list that the expression made, names of types) counts as large as the object that the
   * rule is about: upstream's estimates find them that way, and which definitions are accepted depends on it.
   */
  readonly #root: CelType | undefined;

  constructor(variable: (name: string) => CelType | undefined) {
    this.#variable = variable;
    this.#root = variable('self');
  }

  cost(node: CelNode): Range {
    switch (node.kind) {
      case 'literal':
        return noCost;
      case 'ident': {
        const local = this.#local(node.name);
        const declared = local === undefined ? (this.#variable(node.name) ?? this.#root) : local.declared;
        if (declared !== undefined) this.#declared.set(node, declared);
        return fixed(1);
      }
      case 'select':
        return this.#select(node);
      case 'call':
        return this.#call(node);
      case 'list': {
        const costs = node.items.map((each) => this.cost(each));
        this.#entries.set(node, {
          isList: true,
          key: fixed(1),
          value: this.#joined(node.items),
        });
        return costs.reduce(add, fixed(10));
      }
      case 'map': {
        const costs = node.entries.flatMap(({ key, value }) => [this.cost(key), this.cost(value)]);
        this.#entries.set(node, {
          isList: false,
          key: this.#joined(node.entries.map(({ key }) => key)),
          value: this.#joined(node.entries.map(({ value }) => value)),
        });
        return costs.reduce(add, fixed(30));
      }
      case 'struct':
        return node.fields.map(({ value }) => this.cost(value)).reduce(add, fixed(40));
      default:
        return this.#fold(node);
    }
  }

  #joined(nodes: readonly CelNode[]): Range {
    return nodes.length === 0 ? noCost : nodes.map((each) => this.#sizeOrUnknown(each)).reduce(union);
  }

  #local(name: string): Local | undefined {
    return this.#locals.findLast((each) => each.name === name);
  }

  #select(node: SelectNode): Range {
    if (node.variable !== undefined) return fixed(1);
    const operand = this.cost(node.operand);
    if (node.isTest) return operand;
    const holder = this.#declared.get(node.operand);
    const declared = holder?.kind === 'map' ? undefined : holder?.field?.(node.field);
    if (declared !== undefined) this.#declared.set(node, declared);
    const kind = node.operand.type?.kind;
    return kind === 'map' || kind === 'struct' || kind === 'param' ? add(operand, fixed(1)) : operand;
  }

  #call(node: CallNode): Range {
    if (node.name === 'dyn') {
      const [inner] = node.args as [CelNode];
      const cost = this.cost(inner);
      this.#copySizes(node, inner);
      return add(cost, fixed(1));
    }
    const costs = node.args.map((each) => this.cost(each));
    const target = node.target === undefined ? noCost : this.cost(node.target);
    const sum = costs.reduce(add, noCost);
    const sized = node.args.map((each) => this.#sized(each));
    const self = node.target === undefined ? undefined : this.#sized(node.target);
    let calls: Range | undefined;
    let result: Range | undefined;
    const ids = node.overloads?.map(({ id }) => id) ?? [node.name];
    switch (node.name) {
      case '_&&_':
      case '_||_':
        return { min: (costs[0] as Range).min, max: add(costs[0] as Range, costs[1] as Range).max };
      case '_?:_':
      case '_?_:_': {
        const [, whenTrue, whenFalse] = node.args as [CelNode, CelNode, CelNode];
        this.#sizes.set(node, union(this.#sizeOrUnknown(whenTrue), this.#sizeOrUnknown(whenFalse)));
        this.#joinEntries(node, whenTrue, whenFalse);
        return add(costs[0] as Range, union(costs[1] as Range, costs[2] as Range));
      }
      case '_[_]':
        this.#index(node);
        return add(sum, fixed(1));
      case '_+_':
        this.#joinEntries(node, node.args[0] as CelNode, node.args[1] as CelNode);
        break;
      default:
    }
    for (const id of ids) {
      const estimate = callEstimate(node.name, id, self, sized);
      calls = calls === undefined ? estimate.cost : union(calls, estimate.cost);
      if (estimate.size !== undefined)
        result = result === undefined ? estimate.size : union(result, estimate.size);
    }
    result ??= this.#size(node);
    if (result !== undefined) this.#sizes.set(node, result);
    return add(add(target, sum), calls ?? noCost);
  }

  #index(node: CallNode): void {
    const [holder] = node.args as [CelNode, CelNode];
    const entry = this.#entrySize(holder);
    if (entry !== undefined) this.#sizes.set(node, entry.value);
    const declared = this.#declaredOf(holder);
    const element =
      declared?.kind === 'list'
        ? declared.params[0]
        : declared?.kind === 'map'
          ? declared.params[1]
          : undefined;
    if (element !== undefined) this.#declared.set(node, element);
  }

  #fold(node: FoldNode): Range {
    if (
      node.condition.kind === 'literal' &&
      node.condition.value === false &&
      node.accumulator !== accumulatorName
    )
      return this.#bind(node);
    let sum = add(this.cost(node.range), this.cost(node.init));
    const depth = this.#locals.length;
    this.#locals.push({
      name: node.accumulator,
      declared: undefined,
      size: this.#size(node.init),
      entry: this.#entrySize(node.init),
    });
    this.#pushItems(node);
    const loop = this.cost(node.condition);
    const step = this.cost(node.step);
    this.#locals.length = depth + 1;
    sum = add(sum, this.cost(node.result));
    this.#locals.length = depth;
    const count = this.#sizeOrUnknown(node.range);
    sum = add(sum, multiply(count, add(step, loop)));
    if (node.init.kind === 'literal') {
      const size = this.#size(node.init);
      if (size !== undefined) this.#sizes.set(node, size);
    } else if (node.init.kind === 'list' || node.init.kind === 'map') {
      this.#sizes.set(node, count);
      const entry = this.#entrySize(node.step);
      if (entry !== undefined) this.#entries.set(node, entry);
    }
    return sum;
  }

  #bind(node: FoldNode): Range {
    const sum = add(this.cost(node.range), this.cost(node.init));
    this.#locals.push({
      name: node.accumulator,
      declared: this.#declaredOf(node.init),
      size: this.#size(node.init),
      entry: this.#entrySize(node.init),
    });
    const result = this.cost(node.result);
    this.#locals.pop();
    this.#copySizes(node, node.result);
    return add(sum, result);
  }

  #pushItems(node: FoldNode): void {
    const entry = this.#entrySize(node.range);
    const declared = this.#declaredOf(node.range);
    const isList = entry?.isList ?? node.range.type?.kind === 'list';
    const first = declared === undefined ? this.#root : declared.params[0];
    const second = declared === undefined ? this.#root : declared.params[1];
    const item = (declaredItem: CelType | undefined, size: Range | undefined, name: string): void => {
      this.#locals.push({ name, declared: declaredItem, size, entry: undefined });
    };
    if (node.variable2 !== undefined) {
      item(isList && declared !== undefined ? undefined : first, entry?.key, node.variable);
      item(isList ? first : second, entry?.value, node.variable2);
    } else item(first, isList ? entry?.value : entry?.key, node.variable);
  }

  #declaredOf(node: CelNode): CelType | undefined {
    return this.#declared.get(node);
  }

  #copySizes(to: CelNode, from: CelNode): void {
    const size = this.#size(from);
    if (size !== undefined) this.#sizes.set(to, size);
    const entry = this.#entrySize(from);
    if (entry !== undefined) this.#entries.set(to, entry);
  }

  #joinEntries(to: CelNode, left: CelNode, right: CelNode): void {
    const [a, b] = [this.#entrySize(left), this.#entrySize(right)];
    if (a !== undefined && b !== undefined)
      this.#entries.set(to, { isList: a.isList, key: union(a.key, b.key), value: union(a.value, b.value) });
  }

  #entrySize(node: CelNode): EntrySize | undefined {
    return this.#entries.get(node) ?? (node.kind === 'ident' ? this.#local(node.name)?.entry : undefined);
  }

  #sizeOrUnknown(node: CelNode): Range {
    return this.#size(node) ?? unknownRange;
  }

  #size(node: CelNode): Range | undefined {
    const known = this.#sizes.get(node) ?? literalSize(node);
    if (known !== undefined) return known;
    const bounds = this.#declared.get(node)?.bounds;
    if (bounds !== undefined) return { min: 0, max: bounds.maxElements };
    if (node.type !== undefined && isScalar(node.type)) return fixed(1);
    return node.kind === 'ident' ? this.#local(node.name)?.size : undefined;
  }

  #sized(node: CelNode): SizedNode {
    const type = node.type as CelType;
    const declaredElement = this.#declared.get(node)?.params[0];
    const element = type.params[0];
    return {
      node,
      type,
      size: this.#sizeOrUnknown(node),
      element:
        element === undefined
          ? undefined
          : {
              type: element,
              size:
                declaredElement?.bounds === undefined
                  ? unknownRange
                  : { min: 0, max: declaredElement.bounds.maxElements },
            },
    };
  }
}

function literalSize(node: CelNode): Range | undefined {
  switch (node.kind) {
    case 'literal':
      if (typeof node.value === 'string') return fixed(codePoints(node.value));
      if (node.value instanceof Uint8Array) return fixed(node.value.length);
      return fixed(1);
    case 'list':
      return fixed(node.items.length);
    case 'map':
      return fixed(node.entries.length);
    default:
      return undefined;
  }
}

function isScalar(type: CelType): boolean {
  switch (type.kind) {
    case 'bool':
    case 'double':
    case 'duration':
    case 'int':
    case 'timestamp':
    case 'uint':
      return true;
    case 'opaque':
      return type.name === 'optional_type' && isScalar(type.params[0] as CelType);
    default:
      return false;
  }
}
