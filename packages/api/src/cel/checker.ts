import type { CallNode, CelNode, FoldNode, Overload, SelectNode, StructNode } from './ast.ts';
import { walk } from './ast.ts';
import type { FunctionTable } from './functions.ts';
import type { CelIssue } from './issues.ts';
import type { CelType } from './types.ts';
import {
  celTypes,
  formatType,
  isOptionalType,
  listType,
  mapType,
  optionalType,
  paramType,
  Substitution,
} from './types.ts';
import { isPattern } from './patterns.ts';
import { parseDuration, parseTimestamp, typeOfValue } from './values.ts';

/** The names an expression may use. */
export interface CelNames {
  readonly functions: FunctionTable;
  variable(name: string): CelType | undefined;
  /** A type that `Name{…}` makes. */
  struct(name: string): CelType | undefined;
}

const typeNames: Readonly<Record<string, CelType>> = {
  bool: celTypes.bool,
  int: celTypes.int,
  uint: celTypes.uint,
  double: celTypes.double,
  string: celTypes.string,
  bytes: celTypes.bytes,
  list: celTypes.dyn,
  map: celTypes.dyn,
  null_type: celTypes.null,
  type: celTypes.type,
  optional_type: celTypes.dyn,
  'google.protobuf.Timestamp': celTypes.timestamp,
  'google.protobuf.Duration': celTypes.duration,
};

/** Whether a name is that of a type, which is a value too: `type(x) == string`. */
export const isTypeName = (name: string): boolean => Object.hasOwn(typeNames, name);

/** Gives every node its type and every call its overloads. Returns what is wrong, in the order found. */
export function checkCel(root: CelNode, names: CelNames): CelIssue[] {
  const checker = new Checker(names);
  checker.check(root);
  if (checker.issues.length === 0) checker.finish(root);
  return checker.issues;
}

const literalChecks: Readonly<Record<string, (text: string) => boolean>> = {
  matches: isPattern,
  timestamp: (text) => parseTimestamp(text) !== undefined,
  duration: (text) => parseDuration(text) !== undefined,
};

class Checker {
  readonly issues: CelIssue[] = [];
  /** Told only when nothing else is wrong. */
  readonly #late: CelIssue[] = [];
  readonly #names: CelNames;
  readonly #types = new Substitution();
  readonly #locals: { name: string; type: CelType }[] = [];

  constructor(names: CelNames) {
    this.#names = names;
  }

  /** Replaces type parameters by what they turned out to be. */
  finish(root: CelNode): void {
    this.issues.push(...this.#late);
    walk(root, (node) => {
      node.type = this.#types.resolve(node.type ?? celTypes.dyn, true);
    });
  }

  check(node: CelNode): CelType {
    const type = this.#typeOf(node);
    node.type = type;
    return type;
  }

  #report(at: number, text: string): CelType {
    this.issues.push({ at, text });
    return celTypes.error;
  }

  #typeOf(node: CelNode): CelType {
    switch (node.kind) {
      case 'literal':
        return node.value === null ? celTypes.null : typeOfValue(node.value);
      case 'ident':
        return this.#ident(node.name) ?? this.#report(node.at, undeclared(node.name));
      case 'select':
        return this.#select(node);
      case 'call':
        return this.#call(node);
      case 'list':
        return this.#list(node.items, node.optional);
      case 'map': {
        let key: CelType | undefined;
        let value: CelType | undefined;
        for (const entry of node.entries) {
          key = this.#join(entry.key, this.check(entry.key), key);
          value = this.#join(entry.value, this.#entryType(entry.value, entry.optional), value);
        }
        return mapType(key ?? paramType('K'), value ?? paramType('V'));
      }
      case 'struct':
        return this.#struct(node);
      default:
        return this.#fold(node);
    }
  }

  #list(items: readonly CelNode[], optional: ReadonlySet<number>): CelType {
    let element: CelType | undefined;
    items.forEach((item, index) => {
      element = this.#join(item, this.#entryType(item, optional.has(index)), element);
    });
    return listType(element ?? paramType('E'));
  }

  #entryType(node: CelNode, isOptional: boolean): CelType {
    const type = this.check(node);
    if (!isOptional) return type;
    const value = paramType('O');
    if (!this.#types.assign(optionalType(value), type))
      this.#report(
        node.at,
        `expected type '${formatType(optionalType(celTypes.dyn))}' but found '${formatType(type)}'`,
      );
    return this.#types.resolve(value, true);
  }

  /** Elements of a literal are of one type. */
  #join(node: CelNode, type: CelType, before: CelType | undefined): CelType {
    if (before === undefined) return type;
    if (this.#types.assign(before, type)) return before.kind === 'null' ? type : before;
    this.#report(node.at, `expected type '${this.#shown(before)}' but found '${this.#shown(type)}'`);
    return celTypes.dyn;
  }

  #shown(type: CelType): string {
    return formatType(this.#types.resolve(type));
  }

  #ident(name: string): CelType | undefined {
    const local = this.#locals.findLast((each) => each.name === name);
    if (local !== undefined) return local.type;
    return this.#names.variable(name) ?? (isTypeName(name) ? celTypes.type : undefined);
  }

  #select(node: SelectNode): CelType {
    const full = qualifiedName(node);
    if (full !== undefined && isTypeName(full) && this.#ident(full.split('.')[0] as string) === undefined) {
      return celTypes.type;
    }
    const dotted = full === undefined ? undefined : this.#names.variable(full);
    if (dotted !== undefined && full !== undefined) {
      node.variable = full;
      return dotted;
    }
    const operand = this.#types.resolve(this.check(node.operand));
    const type = this.#fieldType(node.at, operand, node.field);
    return node.isTest ? celTypes.bool : type;
  }

  #fieldType(at: number, operand: CelType, field: string): CelType {
    if (isOptionalType(operand)) {
      return optionalType(this.#fieldType(at, operand.params[0] as CelType, field));
    }
    switch (operand.kind) {
      case 'map':
        return operand.params[1] as CelType;
      case 'struct': {
        if (operand.field === undefined) return celTypes.dyn;
        return operand.field(field) ?? this.#report(at, `undefined field '${field}'`);
      }
      case 'param':
        // Whatever it is, it has fields.
        this.#types.assign(operand, celTypes.dyn);
        return celTypes.dyn;
      case 'dyn':
      case 'error':
        return celTypes.dyn;
      default:
        return this.#report(at, `type '${this.#shown(operand)}' does not support field selection`);
    }
  }

  #call(node: CallNode): CelType {
    if (node.name === '_?._') return this.#optionalSelect(node);
    if (node.target !== undefined) {
      const prefix = qualifiedName(node.target);
      if (prefix !== undefined && this.#names.functions.get(`${prefix}.${node.name}`) !== undefined) {
        node.name = `${prefix}.${node.name}`;
        node.target = undefined;
      }
    }
    const overloads = this.#names.functions.get(node.name);
    const target = node.target === undefined ? undefined : this.check(node.target);
    const args = node.args.map((each) => this.check(each));
    if (overloads === undefined) return this.#report(node.at, undeclared(node.name));
    if (node.name === '_&&_' || node.name === '_||_') {
      node.overloads = overloads;
      node.args.forEach((each, index) => this.#expect(each, args[index] as CelType, celTypes.bool));
      return celTypes.bool;
    }
    this.#literalArgument(node);
    return this.#resolve(node, overloads, target, args);
  }

  /** Patterns and times that are written out must be some. */
  #literalArgument({ name, args, target }: CallNode): void {
    const literal = name === 'matches' && target === undefined ? args[1] : args[0];
    if (literal?.kind !== 'literal' || typeof literal.value !== 'string') return;
    const isGood = literalChecks[name];
    if (isGood?.(literal.value) === false)
      this.#late.push({ at: literal.at, text: `invalid ${name} argument` });
  }

  #optionalSelect(node: CallNode): CelType {
    const [operand, field] = node.args as [CelNode, CelNode];
    field.type = celTypes.string;
    let type = this.#types.resolve(this.check(operand));
    if (isOptionalType(type)) type = type.params[0] as CelType;
    const name = field.kind === 'literal' ? String(field.value) : '';
    const found = this.#fieldType(node.at, type, name);
    return found.kind === 'error' ? found : optionalType(found);
  }

  #resolve(
    node: CallNode,
    overloads: readonly Overload[],
    target: CelType | undefined,
    args: readonly CelType[],
  ): CelType {
    const given = target === undefined ? args : [target, ...args];
    const matching: Overload[] = [];
    let result: CelType | undefined;
    for (const overload of overloads) {
      if (overload.isMember !== (target !== undefined) || overload.params.length !== given.length) continue;
      const fresh = new Map<CelType, CelType>();
      const attempt = this.#types.copy();
      const params = overload.params.map((each) => freshened(each, fresh));
      if (!params.every((each, index) => attempt.assign(each, given[index] as CelType))) continue;
      this.#types.adopt(attempt);
      matching.push(overload);
      const type = this.#types.resolve(freshened(overload.result, fresh));
      if (result === undefined) result = type;
      else if (!sameType(this.#types.resolve(result), type)) result = celTypes.dyn;
    }
    if (result === undefined) {
      if (given.some((each) => this.#types.resolve(each).kind === 'error')) return celTypes.error;
      const shown = args.map((each) => this.#shown(each)).join(', ');
      const applied = target === undefined ? `(${shown})` : `${this.#shown(target)}.(${shown})`;
      return this.#report(node.at, `found no matching overload for '${node.name}' applied to '${applied}'`);
    }
    node.overloads = matching;
    return result;
  }

  #struct(node: StructNode): CelType {
    const type = this.#names.struct(node.name);
    if (type === undefined) {
      for (const { value } of node.fields) this.check(value);
      return this.#report(node.at, undeclared(node.name));
    }
    for (const field of node.fields) {
      const value = this.#entryType(field.value, field.optional);
      const expected =
        type.field === undefined
          ? celTypes.dyn
          : (type.field(field.name) ?? this.#report(field.at, `undefined field '${field.name}'`));
      if (!this.#types.assign(expected, value))
        this.#report(
          field.at,
          `expected type of field '${field.name}' is '${this.#shown(expected)}' but provided type is '${this.#shown(value)}'`,
        );
    }
    return type;
  }

  #fold(node: FoldNode): CelType {
    const range = this.#types.resolve(this.check(node.range));
    const init = this.check(node.init);
    const [first, second] = this.#rangeTypes(node, range);
    this.#locals.push({ name: node.accumulator, type: init });
    const variables = node.variable2 === undefined ? 1 : 2;
    this.#locals.push({ name: node.variable, type: first });
    if (node.variable2 !== undefined) this.#locals.push({ name: node.variable2, type: second });
    this.#expect(node.condition, this.check(node.condition), celTypes.bool);
    this.#expect(node.step, this.check(node.step), init);
    this.#locals.length -= variables;
    const result = this.check(node.result);
    this.#locals.length -= 1;
    return this.#types.resolve(result);
  }

  #rangeTypes(node: FoldNode, range: CelType): [CelType, CelType] {
    const isPair = node.variable2 !== undefined;
    switch (range.kind) {
      case 'list': {
        const element = range.params[0] as CelType;
        return isPair ? [celTypes.int, element] : [element, celTypes.dyn];
      }
      case 'map':
        return [range.params[0] as CelType, range.params[1] as CelType];
      case 'dyn':
      case 'error':
      case 'param':
        this.#types.assign(range, celTypes.dyn);
        return [celTypes.dyn, celTypes.dyn];
      default:
        this.#report(
          node.range.at,
          `expression of type '${this.#shown(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        );
        return [celTypes.error, celTypes.error];
    }
  }

  #expect(node: CelNode, type: CelType, expected: CelType): void {
    if (!this.#types.assign(expected, type))
      this.#report(node.at, `expected type '${this.#shown(expected)}' but found '${this.#shown(type)}'`);
  }
}

const undeclared = (name: string): string => `undeclared reference to '${name}' (in container '')`;

/** `a.b.c` as a name; undefined for anything that is not plain members of a name. */
export function qualifiedName(node: CelNode): string | undefined {
  if (node.kind === 'ident') return node.name;
  if (node.kind !== 'select' || node.isTest) return undefined;
  const prefix = qualifiedName(node.operand);
  return prefix === undefined ? undefined : `${prefix}.${node.field}`;
}

function freshened(type: CelType, fresh: Map<CelType, CelType>): CelType {
  if (type.kind === 'param') {
    const known = fresh.get(type) ?? paramType(type.name);
    fresh.set(type, known);
    return known;
  }
  return type.params.length === 0
    ? type
    : { ...type, params: type.params.map((each) => freshened(each, fresh)) };
}

function sameType(a: CelType, b: CelType): boolean {
  if (a === b) return true;
  return (
    a.kind === b.kind &&
    a.name === b.name &&
    a.params.length === b.params.length &&
    a.params.every((each, index) => sameType(each, b.params[index] as CelType))
  );
}
