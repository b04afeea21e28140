import { actualSize, CelMap, CelOpaque } from '../values.ts';

/** Cost units of one character looked at, and of one character of a pattern. */
export const perCharacter = 0.1;
export const perPatternCharacter = 0.25;
/** An authorization check; two of them fit into the budget of an expression. */
export const authorizationCheck = 350_000;
/** A requirement of a selector: a structure and a list of values, one for every two characters. */
export const perRequirement = 50;
export const selectorBase = 10;

const nominal: ReadonlySet<string> = new Set(
  (
    'serviceAccount path group resource subresource namespace name allowed reason error errored ' +
    'masked prefixLength family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast ' +
    'format.named sign asInteger isInteger asApproximateFloat isGreaterThan isLessThan compareTo add sub major minor patch ' +
    'getScheme getHostname getHost getPort getEscapedPath getQuery'
  ).split(' '),
);
export const isNominal = (name: string): boolean => nominal.has(name);

const traversal = (size: number, factor = 1): number => Math.ceil(size * factor * perCharacter);

/** What a call cost, in upstream's units: from the sizes of its arguments and its result. */
export function callCost(name: string, id: string, args: readonly unknown[], result: unknown): number {
  if (nominal.has(name)) return 1;
  const size = (index: number): number => actualSize(args[index]);
  switch (name) {
    case 'check':
      return authorizationCheck;
    case 'fieldSelector':
    case 'labelSelector': {
      const length = size(1);
      return selectorBase + traversal(length) + Math.ceil(length * 0.5) * perRequirement;
    }
    case 'isSorted':
    case 'sum':
    case 'max':
    case 'min':
    case 'indexOf':
    case 'lastIndexOf':
      return treeCost(args[0]);
    case 'url':
    case 'lowerAscii':
    case 'upperAscii':
    case 'substring':
    case 'trim':
    case 'jsonpatch.escapeKey':
    case 'cidr':
    case 'isIP':
    case 'isCIDR':
    case 'quantity':
    case 'isQuantity':
    case 'semver':
    case 'isSemver':
      return traversal(size(0));
    case 'ip':
      return id === 'cidr_ip' ? 1 : traversal(size(0));
    case 'ip.isCanonical':
    case 'replace':
    case 'split':
      return traversal(size(0), 2);
    case 'join':
      return traversal(actualSize(result), 2);
    case 'find':
    case 'findAll':
    case 'matches':
      return traversal(1 + size(0)) * Math.ceil(size(1) * perPatternCharacter);
    case 'containsIP':
      return traversal(size(0), 2) + (id.endsWith('_string') ? traversal(size(1)) : 0);
    case 'containsCIDR':
      return (
        traversal(size(0), 2) + traversal(size(0)) + 1 + (id.endsWith('_string') ? traversal(size(1)) : 0)
      );
    case 'validate':
      return traversal(1 + size(1)) * Math.ceil((args[0] as CelOpaque).size * perPatternCharacter);
    case 'startsWith':
    case 'endsWith':
    case 'format':
    case 'strings.quote':
      return traversal(size(0));
    case 'bytes':
    case 'string':
      return id === 'string_to_bytes' || id === 'bytes_to_string' ? traversal(size(0)) : 1;
    case '@in':
      return id === 'in_list' ? size(1) : 1;
    case 'contains':
      return traversal(size(0)) * traversal(size(1));
    case '_==_':
    case '_!=_':
      if (name === '_==_' && args[0] instanceof CelOpaque) return 1;
      return traversal(Math.min(size(0), size(1)));
    case '_<_':
    case '_<=_':
    case '_>_':
    case '_>=_':
      return typeof args[0] === 'string' || args[0] instanceof Uint8Array
        ? traversal(Math.min(size(0), size(1)))
        : 1;
    case '_+_':
      return typeof args[0] === 'string' || args[0] instanceof Uint8Array ? traversal(size(0) + size(1)) : 1;
    case 'sets.contains':
    case 'sets.intersects':
      return 1 + size(0) * size(1);
    case 'sets.equivalent':
      return 1 + 2 * size(0) * size(1);
    case 'lists.range':
    case 'slice':
    case 'reverse':
      return listBase + actualSize(result);
    case 'flatten':
      return listBase + size(0) * (args.length === 2 ? Number(args[1]) : 1);
    case 'distinct':
    case 'sort':
      return listBase + comparedWithItself(args[0]);
    case '@sortByAssociatedKeys':
      return listBase + comparedWithItself(args[1]);
    default:
      return 1;
  }
}

/** The call and the list that it makes. */
const listBase = 11;

function comparedWithItself(list: unknown): number {
  const items = Array.isArray(list) ? (list as unknown[]) : [];
  const isText = typeof items[0] === 'string' || items[0] instanceof Uint8Array;
  return Math.floor(items.length * items.length * (isText ? 2 + perCharacter : 2));
}

function treeCost(value: unknown): number {
  if (typeof value === 'string' || value instanceof Uint8Array)
    return Math.floor(value.length * perCharacter);
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + treeCost(item), 0);
  if (value instanceof CelMap)
    return value.keys().reduce((sum: number, key) => sum + treeCost(key) + treeCost(value.get(key)), 0);
  return 1;
}
