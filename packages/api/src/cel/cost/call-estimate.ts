import type { CelType } from '../types.ts';
import {
  authorizationCheck,
  isNominal,
  perCharacter,
  perPatternCharacter,
  perRequirement,
  selectorBase,
} from './call-cost.ts';
import type { SizedNode } from './estimate.ts';
import type { Range } from './range.ts';
import { add, fixed, multiply, scale, union, unknownRange } from './range.ts';

export interface CallEstimate {
  /** Without that of the arguments. */
  readonly cost: Range;
  /** Of the result, where it has one that can be told. */
  readonly size?: Range;
}

const one: CallEstimate = { cost: fixed(1) };
/** Patterns of named formats are not longer. */
const formatPatternMax = 128;
const formatNameMax = 64;

/** The cost of a call from the sizes of its arguments. */
export function callEstimate(
  name: string,
  id: string,
  target: SizedNode | undefined,
  args: readonly SizedNode[],
): CallEstimate {
  if (isNominal(name)) return one;
  const first = args[0]?.size ?? unknownRange;
  const second = args[1]?.size ?? unknownRange;
  const self = target?.size ?? first;
  const traversed = (size: Range, factor = 1): Range => scale(size, factor * perCharacter);
  switch (name) {
    case 'check':
      return { cost: fixed(authorizationCheck) };
    case 'fieldSelector':
    case 'labelSelector':
      return {
        cost: add(add(fixed(selectorBase), traversed(first)), scale(scale(first, 0.5), perRequirement)),
      };
    case 'isSorted':
    case 'sum':
    case 'max':
    case 'min':
    case 'indexOf':
    case 'lastIndexOf':
      return target === undefined ? one : { cost: elementwise(target) };
    case 'url':
    case 'jsonpatch.escapeKey':
      return { cost: traversed(first), size: first };
    case 'lowerAscii':
    case 'upperAscii':
    case 'substring':
    case 'trim':
      return { cost: traversed(self), size: self };
    case 'replace':
      return { cost: traversed(self, 2), size: replacedSize(self, first, second) };
    case 'split': {
      const limit = args[1]?.node;
      const max =
        limit?.kind === 'literal' && typeof limit.value === 'bigint' && limit.value >= 0n
          ? Number(limit.value)
          : self.max;
      return { cost: traversed(self, 2), size: { min: 0, max } };
    }
    case 'join':
      return joined(target as SizedNode, args[0]);
    case 'find':
    case 'findAll':
      return {
        cost: multiply(traversed(add(self, fixed(1))), scale(first, perPatternCharacter)),
        size: { min: 0, max: self.max },
      };
    case 'matches': {
      const pattern = target === undefined ? second : first;
      return { cost: multiply(traversed(add(self, fixed(1))), scale(pattern, perPatternCharacter)) };
    }
    case 'cidr':
    case 'isIP':
    case 'isCIDR':
    case 'quantity':
    case 'isQuantity':
    case 'semver':
    case 'isSemver':
      return { cost: traversed(first) };
    case 'ip':
      return id === 'cidr_ip' ? one : { cost: traversed(first) };
    case 'ip.isCanonical':
      return { cost: traversed(first, 2) };
    case 'containsIP':
    case 'containsCIDR': {
      const bytes: Range = { min: 4, max: 16 };
      let cost = traversed(add(bytes, bytes));
      if (name === 'containsCIDR') cost = add(add(cost, traversed(bytes)), fixed(1));
      return { cost: id.endsWith('_string') ? add(cost, traversed(first)) : cost };
    }
    case 'validate':
      return { cost: scale(traversed(first), formatPatternMax * perPatternCharacter) };
    case 'format':
      return { cost: traversed(self) };
    case 'bytes':
      if (id === 'string_to_bytes')
        return { cost: traversed(first), size: { min: first.min, max: first.max * 4 } };
      return one;
    case 'string':
      if (id === 'bytes_to_string')
        return { cost: traversed(first), size: { min: Math.floor(first.min / 4), max: first.max } };
      return one;
    case 'strings.quote':
      return { cost: traversed(first), size: { min: first.min + 2, max: first.max * 2 + 2 } };
    case 'startsWith':
    case 'endsWith':
      return { cost: traversed(first) };
    case 'contains':
      return { cost: multiply(traversed(self), traversed(first)) };
    case '@in':
      return id === 'in_list' ? { cost: second } : one;
    case 'slice': {
      const end = literalInt(args[1], self.max);
      return allocated(1, fixed(Math.max(0, end - literalInt(args[0], 0))));
    }
    case 'lists.range':
      return allocated(1, fixed(literalInt(args[0], Infinity)));
    case 'reverse':
      return target === undefined ? one : allocated(1, self);
    case 'flatten':
      return allocated(args.length === 0 ? 1 : literalInt(args[0], Infinity), self);
    case 'distinct':
      return allocated(2, multiply(self, self));
    case 'sort':
      return sorted(target);
    case '@sortByAssociatedKeys':
      return sorted(args[0]);
    case 'sets.contains':
    case 'sets.intersects':
      return { cost: add(multiply(first, second), fixed(1)) };
    case 'sets.equivalent':
      return { cost: add(scale(multiply(first, second), 2), fixed(1)) };
    case '_+_': {
      const size = add(first, second);
      switch (id) {
        case 'add_string':
        case 'add_bytes':
          return { cost: traversed(size), size };
        case 'add_list':
          return { cost: fixed(1), size };
        default:
          return one;
      }
    }
    case '_==_': {
      const known = libraryEquality(args);
      return known === undefined ? compared(first, second) : { cost: known };
    }
    case '_!=_':
      return compared(first, second);
    case '_<_':
    case '_<=_':
    case '_>_':
    case '_>=_':
      return /_(?:string|bytes)$/.test(id) ? compared(first, second) : one;
    default:
      return one;
  }
}

/** A call that makes a new list. */
function allocated(factor: number, size: Range): CallEstimate {
  return { cost: add(add(scale(size, factor), fixed(1)), fixed(10)), size };
}

function sorted(list: SizedNode | undefined): CallEstimate {
  const size = list?.size ?? unknownRange;
  const kind = list?.element?.type.kind;
  return allocated(kind === 'string' || kind === 'bytes' ? 2 + perCharacter : 2, multiply(size, size));
}

function literalInt(node: SizedNode | undefined, other: number): number {
  const literal = node?.node;
  return literal?.kind === 'literal' && typeof literal.value === 'bigint'
    ? Math.max(0, Number(literal.value))
    : other;
}

function compared(left: Range, right: Range): CallEstimate {
  const max = Math.min(left.max, right.max);
  return { cost: scale({ min: max > 0 ? 1 : 0, max }, perCharacter) };
}

function elementwise(target: SizedNode): Range {
  const { element, size } = target;
  if (element === undefined) return scale(size, perCharacter);
  const isText = element.type.kind === 'string' || element.type.kind === 'bytes';
  const each = isText ? add(fixed(1), scale(element.size, perCharacter)) : fixed(1);
  return multiply(size, each);
}

function joined(target: SizedNode, separator: SizedNode | undefined): CallEstimate {
  const { size: count, element } = target;
  let size: Range = element === undefined ? fixed(0) : multiply(count, element.size);
  if (separator !== undefined) {
    const gaps = { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) };
    size = add(size, multiply(separator.size, gaps));
  }
  return { cost: scale(size, perCharacter), size };
}

/** Lengths of a text after `from` was replaced by `to` as often, or as seldom, as can be. */
function replacedSize(text: Range, from: Range, to: Range): Range {
  let longest = text.max;
  if (from.min === 0) longest += (text.max + 1) * to.max;
  else if (to.max > from.min) longest = Math.ceil(text.max / from.min) * to.max;
  let shortest = text.min;
  if (from.max === 0) shortest += (text.min + 1) * to.min;
  else if (from.max > to.min) shortest = from.max === Infinity ? 0 : Math.ceil(text.min / from.max) * to.min;
  return { min: shortest, max: Number.isNaN(longest) ? Infinity : longest };
}

function libraryEquality([left, right]: readonly SizedNode[]): Range | undefined {
  const type: CelType | undefined = left?.type;
  if (type === undefined || right?.type.name !== type.name) return undefined;
  switch (type.name) {
    case 'net.IP':
    case 'net.CIDR':
    case 'kubernetes.Quantity':
    case 'kubernetes.Semver':
    case 'kubernetes.authorization.Authorizer':
    case 'kubernetes.authorization.PathCheck':
    case 'kubernetes.authorization.GroupCheck':
    case 'kubernetes.authorization.ResourceCheck':
    case 'kubernetes.authorization.Decision':
      return fixed(1);
    case 'kubernetes.NamedFormat':
      return scale({ min: 1, max: formatNameMax }, perCharacter);
    case 'kubernetes.URL':
      return scale({ min: 1, max: union(right.size, right.size).max }, perCharacter);
    default:
      return undefined;
  }
}
