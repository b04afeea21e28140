/** Smallest and largest: of a size in elements, or of a cost. `Infinity` stands for what overflows or is not known. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** From here on upstream's numbers are at their end, and stay there. */
const top = 2 ** 64;
const bounded = (value: number): number => (value >= top ? Infinity : value);

export const fixed = (value: number): Range => ({ min: value, max: value });
export const unknownRange: Range = { min: 0, max: Infinity };
export const noCost: Range = fixed(0);

export const add = (a: Range, b: Range): Range => ({
  min: bounded(a.min + b.min),
  max: bounded(a.max + b.max),
});
export const multiply = (a: Range, b: Range): Range => ({
  min: product(a.min, b.min),
  max: product(a.max, b.max),
});
export const scale = (a: Range, factor: number): Range => ({
  min: a.min === 0 ? 0 : bounded(Math.ceil(a.min * factor)),
  max: a.max === 0 ? 0 : bounded(Math.ceil(a.max * factor)),
});
export const union = (a: Range, b: Range): Range => ({
  min: Math.min(a.min, b.min),
  max: Math.max(a.max, b.max),
});

/** A product that is 0 when one side is, whatever the other. */
export const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : bounded(a * b));
