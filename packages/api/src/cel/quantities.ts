import type { Environment } from '@marcbachmann/cel-js';
import { isQuantity, parseQuantity, Quantity } from '@pilothouse/apimachinery';

/** `quantity('1Gi')` and what can be done with it. */
export function registerQuantities(env: Environment): void {
  const type = 'kubernetes.Quantity';
  env.registerType(type, Quantity);
  env.registerOperator(`${type} == ${type}`, (a: Quantity, b: Quantity) => a.compare(b) === 0);
  env.registerFunction('isQuantity(string): bool', (text: string) => isQuantity(text));
  env.registerFunction(`quantity(string): ${type}`, (text: string) => parseQuantity(text));
  const method = (signature: string, handler: (quantity: Quantity, other: never) => unknown): void => {
    env.registerFunction(`${type}.${signature}`, handler as (...args: unknown[]) => unknown);
  };
  method('sign(): int', (quantity) => BigInt(quantity.sign));
  method('isInteger(): bool', (quantity) => Number.isSafeInteger(quantity.toNumber()));
  method('asInteger(): int', (quantity) => {
    if (!Number.isSafeInteger(quantity.toNumber())) throw new Error('cannot convert value to integer');
    return BigInt(quantity.toNumber());
  });
  method('asApproximateFloat(): double', (quantity) => quantity.toNumber());
  method(`isGreaterThan(${type}): bool`, (quantity, other: Quantity) => quantity.compare(other) > 0);
  method(`isLessThan(${type}): bool`, (quantity, other: Quantity) => quantity.compare(other) < 0);
  method(`compareTo(${type}): int`, (quantity, other: Quantity) => BigInt(quantity.compare(other)));
  method(`add(${type}): ${type}`, (quantity, other: Quantity) => quantity.add(other));
  method(`sub(${type}): ${type}`, (quantity, other: Quantity) => quantity.subtract(other));
  method(`add(int): ${type}`, (quantity, other: bigint) => quantity.add(Quantity.fromUnits(other)));
  method(`sub(int): ${type}`, (quantity, other: bigint) => quantity.subtract(Quantity.fromUnits(other)));
}
