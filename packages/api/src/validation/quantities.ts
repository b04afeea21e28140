import { parseQuantity, Quantity } from '@pilothouse/apimachinery';

/** Quantities in their text form; what does not parse counts as zero, for the decoder has refused it before. */
export function quantityOf(value: unknown): Quantity {
  if (typeof value === 'string' || typeof value === 'number') {
    try {
      return parseQuantity(value);
    } catch {
      return zero;
    }
  }
  return zero;
}
const zero = Quantity.fromUnits(0);

export function compareQuantities(left: unknown, right: unknown): number {
  return quantityOf(left).compare(quantityOf(right));
}

export function quantitySign(value: unknown): number {
  return quantityOf(value).sign;
}

/** Whether a quantity is whole, looking down to thousandths. */
export function isIntegerQuantity(value: unknown): boolean {
  return quantityOf(value).milliValue % 1000 === 0;
}

const milliMax = 2n ** 63n - 1n;

/** Whether warnings call an amount of bytes fractional: its thousandths, held in 64 bits, are no whole thousand. */
export function isFractional(value: unknown): boolean {
  const milli = quantityOf(value).nano / 1_000_000n;
  return milli > milliMax || quantityOf(value).milliValue % 1000 !== 0;
}

export function quantityText(value: unknown): string {
  return quantityOf(value).toString();
}
