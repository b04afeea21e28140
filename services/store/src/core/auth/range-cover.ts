import type { KeyRange } from '../key-text.ts';

/** True when the union of `ranges` contains all of `wanted`. */
export function covers(ranges: readonly KeyRange[], wanted: KeyRange): boolean {
  // One key is the range up to its immediate successor.
  const from = wanted.from;
  const to = wanted.to === undefined ? `${from}\0` : wanted.to;
  const sorted = ranges
    .map((range) => ({ from: range.from, to: range.to === undefined ? `${range.from}\0` : range.to }))
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  let reached = from;
  for (const range of sorted) {
    if (range.from > reached) break;
    if (range.to === null) return true;
    if (range.to > reached) reached = range.to;
    if (to !== null && reached >= to) return true;
  }
  return to !== null && reached >= to;
}
