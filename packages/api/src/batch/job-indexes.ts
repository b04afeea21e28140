import { goQuote } from '@pilothouse/apimachinery';

type Interval = readonly [first: number, last: number];

/** strconv.Atoi takes a sign and leading zeros, and nothing else. */
const wholeNumber = (text: string): number | undefined =>
  /^[+-]?\d+$/.test(text) ? Number(text) : undefined;

/** `3` or `3-5`, below `completions`; or what is wrong with it. */
function parseInterval(text: string, completions: number): Interval | string {
  const limits = text.split('-');
  if (limits.length > 2)
    return `the fragment ${goQuote(text)} violates the requirement that an index interval can have at most two parts separated by '-'`;
  const numbers: number[] = [];
  for (const limit of limits) {
    const value = wholeNumber(limit);
    if (value === undefined) return `cannot convert string to integer for index: ${goQuote(limit)}`;
    if (value >= completions) return `too large index: ${goQuote(limit)}`;
    numbers.push(value);
  }
  const [first, last = first] = numbers as [number, number?];
  if (limits.length > 1 && first >= last) return `non-increasing order, previous: ${first}, current: ${last}`;
  return [first, last];
}

/** What is wrong with indexes such as `0,3-5,7` of an indexed job; undefined: nothing. */
export function indexesProblem(text: string, completions: number): string | undefined {
  if (text === '') return undefined;
  let previous: number | undefined;
  for (const piece of text.split(',')) {
    const interval = parseInterval(piece, completions);
    if (typeof interval === 'string') return interval;
    if (previous !== undefined && previous >= interval[0])
      return `non-increasing order, previous: ${previous}, current: ${interval[0]}`;
    previous = interval[1];
  }
  return undefined;
}

/** The first index that is in both, found as upstream walks the two; pieces that do not parse are passed over. */
export function indexesOverlap(one: string, two: string, completions: number): number | undefined {
  if (one === '' || two === '') return undefined;
  const parse = (text: string): Interval[] =>
    text
      .split(',')
      .map((piece) => parseInterval(piece, completions))
      .filter((each) => typeof each !== 'string');
  const [left, right] = [parse(one), parse(two)];
  for (let at = 0, other = 0; at < left.length && other < right.length;) {
    const [a, b] = [left[at] as Interval, right[other] as Interval];
    if (a[0] <= b[1] && b[0] <= a[1]) return Math.max(a[0], b[0]);
    if (a[0] <= b[0]) at++;
    else other++;
  }
  return undefined;
}
