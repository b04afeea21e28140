import type { CelType } from './types.ts';

/** A place in the source, in characters from its start. */
export type Offset = number;

interface NodeBase {
  readonly at: Offset;
  /** Set by the checker. */
  type?: CelType;
}

export interface LiteralNode extends NodeBase {
  readonly kind: 'literal';
  readonly value: unknown;
}
export interface IdentNode extends NodeBase {
  readonly kind: 'ident';
  readonly name: string;
}
export interface SelectNode extends NodeBase {
  readonly kind: 'select';
  readonly operand: CelNode;
  readonly field: string;
  /** `has(a.b)`: asks whether the field is there. */
  readonly isTest: boolean;
  /** Set by the checker: the members are the name of one variable, dots and all. */
  variable?: string;
}
export interface CallNode extends NodeBase {
  readonly kind: 'call';
  /** `_+_`, `size`, `math.abs` once the checker has seen it. */
  name: string;
  target: CelNode | undefined;
  readonly args: readonly CelNode[];
  /** Set by the checker: those whose parameters take the arguments. */
  overloads?: readonly Overload[];
}
export interface ListNode extends NodeBase {
  readonly kind: 'list';
  readonly items: readonly CelNode[];
  /** Indices of `?item` entries. */
  readonly optional: ReadonlySet<number>;
}
export interface MapNode extends NodeBase {
  readonly kind: 'map';
  readonly entries: readonly { readonly key: CelNode; readonly value: CelNode; readonly optional: boolean }[];
}
export interface StructNode extends NodeBase {
  readonly kind: 'struct';
  readonly name: string;
  readonly fields: readonly {
    readonly name: string;
    readonly value: CelNode;
    readonly optional: boolean;
    readonly at: Offset;
  }[];
}
/** What all macros over lists and maps become. */
export interface FoldNode extends NodeBase {
  readonly kind: 'fold';
  readonly range: CelNode;
  readonly variable: string;
  /** With two variables: index and item, or key and value. */
  readonly variable2: string | undefined;
  readonly accumulator: string;
  readonly init: CelNode;
  readonly condition: CelNode;
  readonly step: CelNode;
  readonly result: CelNode;
}

export type CelNode =
  LiteralNode | IdentNode | SelectNode | CallNode | ListNode | MapNode | StructNode | FoldNode;

/** One form of a function: parameters (of a member function the receiver first), result and what it does. */
export interface Overload {
  /** Upstream's id where costs depend on it, else the name of the function. */
  readonly id: string;
  readonly isMember: boolean;
  readonly params: readonly CelType[];
  readonly result: CelType;
  readonly call: (...args: never[]) => unknown;
  /** Whether a value may be the argument at run time, when its type was dyn. */
  readonly accepts: readonly ((value: unknown) => boolean)[];
}

/** The hidden variable of macros. */
export const accumulatorName = '@result';

/** Visits a node and all below it. */
export function walk(node: CelNode, visit: (node: CelNode) => void): void {
  visit(node);
  switch (node.kind) {
    case 'select':
      walk(node.operand, visit);
      break;
    case 'call':
      if (node.target !== undefined) walk(node.target, visit);
      for (const each of node.args) walk(each, visit);
      break;
    case 'list':
      for (const each of node.items) walk(each, visit);
      break;
    case 'map':
      for (const { key, value } of node.entries) {
        walk(key, visit);
        walk(value, visit);
      }
      break;
    case 'struct':
      for (const { value } of node.fields) walk(value, visit);
      break;
    case 'fold':
      for (const each of [node.range, node.init, node.condition, node.step, node.result]) walk(each, visit);
      break;
    default:
  }
}
