import type { CallNode, CelNode, FoldNode, ListNode, MapNode, Overload, StructNode } from './ast.ts';
import { isTypeName, qualifiedName } from './checker.ts';
import { callCost } from './cost/call-cost.ts';
import { CelEvaluationError, CelPending } from './issues.ts';
import type { CelType } from './types.ts';
import { celTypes, formatType } from './types.ts';
import { BuiltObject, CelMap, CelObject, CelOptional, LiteralMap, TypeValue, typeOfValue } from './values.ts';

/** What one evaluation keeps. */
export interface Frame {
  /** The value of a variable; undefined: it is not there. */
  readonly lookup: (name: string) => unknown;
  readonly locals: unknown[];
  cost: number;
  readonly costLimit: number;
}

export type Evaluator = (frame: Frame) => unknown;

/** Makes an expression that passed the checker ready to run. `struct` gives the types of objects that it builds. */
export function compileCel(root: CelNode, struct: (name: string) => CelType | undefined): Evaluator {
  return new Compiler(struct).compile(root);
}

function charge(frame: Frame, amount: number): void {
  frame.cost += amount;
  if (frame.cost > frame.costLimit)
    throw new CelEvaluationError('operation cancelled: actual cost limit exceeded', true);
}

class Compiler {
  readonly #struct: (name: string) => CelType | undefined;
  readonly #scope: { readonly name: string; readonly slot: number }[] = [];
  #slots = 0;

  constructor(struct: (name: string) => CelType | undefined) {
    this.#struct = struct;
  }

  compile(node: CelNode): Evaluator {
    switch (node.kind) {
      case 'literal': {
        const { value } = node;
        return () => value;
      }
      case 'ident':
        return this.#ident(node.name);
      case 'select': {
        if (node.variable !== undefined) return this.#ident(node.variable);
        const full = qualifiedName(node);
        if (full !== undefined && isTypeName(full)) return this.#ident(full);
        const operand = this.compile(node.operand);
        const { field } = node;
        if (node.isTest) return (frame) => hasField(operand(frame), field);
        return (frame) => {
          const value = operand(frame);
          charge(frame, 1);
          return fieldOf(value, field);
        };
      }
      case 'call':
        return this.#call(node);
      case 'list':
        return this.#list(node);
      case 'map':
        return this.#map(node);
      case 'struct':
        return this.#object(node);
      default:
        return this.#fold(node);
    }
  }

  #ident(name: string): Evaluator {
    const local = this.#scope.findLast((each) => each.name === name);
    if (local !== undefined) {
      const { slot } = local;
      return (frame) => {
        charge(frame, 1);
        const value = frame.locals[slot];
        return value instanceof Lazy ? value.force() : value;
      };
    }
    const type = isTypeName(name) ? new TypeValue({ ...celTypes.dyn, name }) : undefined;
    return (frame) => {
      charge(frame, 1);
      const value = frame.lookup(name) ?? type;
      if (value === undefined) throw new CelEvaluationError(`no such attribute(s): ${name}`);
      return value;
    };
  }

  #list({ items, optional }: ListNode): Evaluator {
    const evaluators = items.map((each) => this.compile(each));
    return (frame) => {
      const out: unknown[] = [];
      evaluators.forEach((evaluate, index) => {
        const value = evaluate(frame);
        if (!optional.has(index)) out.push(value);
        else if ((value as CelOptional).hasValue) out.push((value as CelOptional).value);
      });
      charge(frame, 10);
      return out;
    };
  }

  #map({ entries }: MapNode): Evaluator {
    const evaluators = entries.map(({ key, value, optional }) => ({
      key: this.compile(key),
      value: this.compile(value),
      optional,
    }));
    return (frame) => {
      const out = new LiteralMap();
      for (const { key, value, optional } of evaluators) {
        const name = key(frame);
        const member = value(frame);
        if (optional && !(member as CelOptional).hasValue) continue;
        if (out.get(name) !== undefined) throw new CelEvaluationError(`Failed with repeated key`);
        out.set(name, optional ? (member as CelOptional).value : member);
      }
      charge(frame, 30);
      return out;
    };
  }

  #object({ name, fields }: StructNode): Evaluator {
    const type = this.#struct(name) as CelType;
    const evaluators = fields.map((each) => ({ ...each, evaluate: this.compile(each.value) }));
    return (frame) => {
      const members = new Map<string, unknown>();
      for (const { name: field, evaluate, optional } of evaluators) {
        const value = evaluate(frame);
        if (!optional) members.set(field, value);
        else if ((value as CelOptional).hasValue) members.set(field, (value as CelOptional).value);
      }
      charge(frame, 40);
      return new BuiltObject(type, members);
    };
  }

  #call(node: CallNode): Evaluator {
    const { name } = node;
    switch (name) {
      case '_&&_':
        return this.#logical(node, false);
      case '_||_':
        return this.#logical(node, true);
      case '_?_:_': {
        const [condition, whenTrue, whenFalse] = node.args.map((each) => this.compile(each)) as [
          Evaluator,
          Evaluator,
          Evaluator,
        ];
        return (frame) => {
          const chosen = condition(frame);
          if (typeof chosen !== 'boolean') throw new CelEvaluationError('no such overload');
          return chosen ? whenTrue(frame) : whenFalse(frame);
        };
      }
      case '@not_strictly_false': {
        const inner = this.compile(node.args[0] as CelNode);
        return (frame) => {
          const value = attempt(inner, frame);
          charge(frame, 1);
          return value !== false;
        };
      }
      case '_?._':
      case '_[?_]': {
        const [operand, key] = node.args.map((each) => this.compile(each)) as [Evaluator, Evaluator];
        return (frame) => {
          const value = operand(frame);
          const wanted = key(frame);
          charge(frame, 1);
          return optionalMember(value, wanted);
        };
      }
      case '_[_]': {
        const [operand, key] = node.args.map((each) => this.compile(each)) as [Evaluator, Evaluator];
        return (frame) => {
          const value = operand(frame);
          const wanted = key(frame);
          charge(frame, 1);
          return member(value, wanted);
        };
      }
      case '_+_': {
        const pushed = this.#accumulatedItem(node);
        if (pushed !== undefined) return pushed;
        break;
      }
      default:
    }
    const operands = [...(node.target === undefined ? [] : [node.target]), ...node.args].map((each) =>
      this.compile(each),
    );
    return applied(name, node.overloads ?? [], operands);
  }

  /** `accumulator + [item]` adds in place: nothing else holds the accumulator of a macro. */
  #accumulatedItem({ args }: CallNode): Evaluator | undefined {
    const [left, right] = args;
    if (
      left?.kind !== 'ident' ||
      !left.name.startsWith('@') ||
      right?.kind !== 'list' ||
      right.optional.size > 0
    )
      return undefined;
    const accumulator = this.compile(left);
    const items = right.items.map((each) => this.compile(each));
    return (frame) => {
      const list = accumulator(frame) as unknown[];
      for (const item of items) list.push(item(frame));
      charge(frame, 11);
      return list;
    };
  }

  /** An error on one side does not matter when the other side decides. */
  #logical({ args }: CallNode, deciding: boolean): Evaluator {
    const [left, right] = args.map((each) => this.compile(each)) as [Evaluator, Evaluator];
    return (frame) => {
      const first = attempt(left, frame);
      if (first === deciding) return deciding;
      const second = attempt(right, frame);
      if (second === deciding) return deciding;
      for (const each of [first, second]) {
        if (each instanceof CelEvaluationError) throw each;
        if (typeof each !== 'boolean') throw new CelEvaluationError('no such overload');
      }
      return !deciding;
    };
  }

  #fold(node: FoldNode): Evaluator {
    const range = this.compile(node.range);
    const init = this.compile(node.init);
    const depth = this.#scope.length;
    const accumulator = this.#slot(node.accumulator);
    if (node.condition.kind === 'literal' && node.condition.value === false) {
      const body = this.compile(node.result);
      this.#scope.length = depth;
      return (frame) => {
        const before = frame.locals[accumulator];
        frame.locals[accumulator] = new Lazy(() => init(frame));
        charge(frame, 10);
        try {
          return body(frame);
        } finally {
          frame.locals[accumulator] = before;
        }
      };
    }
    const first = this.#slot(node.variable);
    const second = node.variable2 === undefined ? undefined : this.#slot(node.variable2);
    const condition = this.compile(node.condition);
    const step = this.compile(node.step);
    this.#scope.length = depth + 1;
    const result = this.compile(node.result);
    this.#scope.length = depth;
    return (frame) => {
      const values = range(frame);
      const { locals } = frame;
      const saved = [locals[accumulator], locals[first], second === undefined ? undefined : locals[second]];
      let accumulated: unknown = init(frame);
      const turn = (a: unknown, b: unknown): boolean => {
        locals[accumulator] =
          accumulated instanceof CelEvaluationError ? new Failed(accumulated) : accumulated;
        locals[first] = a;
        if (second !== undefined) locals[second] = b;
        if (condition(frame) === false) return false;
        accumulated = attempt(step, frame);
        return true;
      };
      if (Array.isArray(values)) {
        for (let index = 0; index < values.length; index++) {
          const item: unknown = values[index];
          if (!(second === undefined ? turn(item, undefined) : turn(BigInt(index), item))) break;
        }
      } else if (values instanceof CelMap) {
        for (const key of values.keys()) {
          if (!turn(key, second === undefined ? undefined : values.get(key))) break;
        }
      } else {
        throw new CelEvaluationError('no such overload');
      }
      if (accumulated instanceof CelEvaluationError) throw accumulated;
      locals[accumulator] = accumulated;
      const value = result(frame);
      [locals[accumulator], locals[first]] = saved;
      if (second !== undefined) locals[second] = saved[2];
      return value;
    };
  }

  #slot(name: string): number {
    const slot = this.#slots++;
    this.#scope.push({ name, slot });
    return slot;
  }
}

/** A bound value that is made when it is first read. */
class Lazy {
  #make: (() => unknown) | undefined;
  #value: unknown;
  constructor(make: () => unknown) {
    this.#make = make;
  }
  force(): unknown {
    if (this.#make !== undefined) {
      this.#value = this.#make();
      this.#make = undefined;
    }
    return this.#value;
  }
}

/** An accumulator that failed: reading it fails again, so that `||` and `&&` may still be decided by later items. */
class Failed extends Lazy {
  constructor(error: Error) {
    super(() => {
      throw error;
    });
  }
}

function attempt(evaluate: Evaluator, frame: Frame): unknown {
  try {
    return evaluate(frame);
  } catch (error) {
    if (error instanceof CelEvaluationError) {
      if (error.isCostLimit) throw error;
      return error;
    }
    throw error;
  }
}

function applied(name: string, overloads: readonly Overload[], operands: readonly Evaluator[]): Evaluator {
  const [only] = overloads;
  const isCertain = overloads.length === 1 && only !== undefined;
  return (frame) => {
    const values = operands.map((each) => each(frame));
    const overload =
      isCertain && only.accepts.every((accepts, index) => accepts(values[index]))
        ? only
        : overloads.find((each) => each.accepts.every((accepts, index) => accepts(values[index])));
    if (overload === undefined) throw new CelEvaluationError('no such overload');
    const result = invoke(overload, values);
    charge(frame, callCost(name, overload.id, values, result));
    return result;
  };
}

function invoke(overload: Overload, values: readonly unknown[]): unknown {
  try {
    return (overload.call as (...args: unknown[]) => unknown)(...values);
  } catch (error) {
    if (error instanceof CelEvaluationError || error instanceof CelPending) throw error;
    throw new CelEvaluationError(error instanceof Error ? error.message : String(error));
  }
}

function fieldOf(value: unknown, field: string): unknown {
  if (value instanceof CelOptional) {
    return value.hasValue ? optionalMember(value.value, field) : CelOptional.none;
  }
  const found = readField(value, field);
  if (found === undefined) throw new CelEvaluationError(`no such key: ${field}`);
  return found;
}

function readField(value: unknown, field: string): unknown {
  if (value instanceof CelMap || value instanceof CelObject) return value.get(field);
  throw new CelEvaluationError(
    value === null
      ? `no such key: ${field}`
      : `unsupported type conversion: '${formatType(typeOfValue(value))}'`,
  );
}

function hasField(value: unknown, field: string): boolean {
  if (value instanceof CelOptional) return value.hasValue && hasField(value.value, field);
  return readField(value, field) !== undefined;
}

function optionalMember(value: unknown, key: unknown): CelOptional {
  if (value instanceof CelOptional)
    return value.hasValue ? optionalMember(value.value, key) : CelOptional.none;
  if (value === null) return CelOptional.none;
  if (Array.isArray(value)) {
    const index = indexOf(key);
    return index >= 0 && index < value.length ? new CelOptional(value[index]) : CelOptional.none;
  }
  const found =
    value instanceof CelObject && typeof key === 'string'
      ? value.get(key)
      : value instanceof CelMap
        ? value.get(key)
        : readField(value, String(key));
  return found === undefined ? CelOptional.none : new CelOptional(found);
}

function indexOf(key: unknown): number {
  if (typeof key === 'bigint') return Number(key);
  if (typeof key === 'number' && Number.isInteger(key)) return key;
  throw new CelEvaluationError(`unsupported index type '${formatType(typeOfValue(key))}' in list`);
}

function member(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) {
    const index = indexOf(key);
    if (index < 0 || index >= value.length) throw new CelEvaluationError(`index out of bounds: ${index}`);
    return value[index];
  }
  if (value instanceof CelOptional) return optionalMember(value, key);
  if (value instanceof CelMap) {
    const found = value.get(key);
    if (found === undefined) throw new CelEvaluationError(`no such key: ${String(key)}`);
    return found;
  }
  if (value instanceof CelObject && typeof key === 'string') return fieldOf(value, key);
  throw new CelEvaluationError('no such overload');
}
