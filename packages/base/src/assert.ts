/** Raised when an invariant is broken: a programmer's error. The process must end and be restarted. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** States what must hold. Stays on in production; throws {@link AssertionError} with `message` when it does not. */
export function assert(condition: unknown, message = 'Assertion failed'): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Ends an exhaustive `switch`: the compiler refuses a missed case, and a value from outside the types throws. */
export function assertNever(value: never, what = 'value'): never {
  throw new AssertionError(`Unexpected ${what} ${JSON.stringify(value)}`);
}

/** Returns `value`, or throws {@link AssertionError} when it is null or undefined. */
export function mustExist<T>(value: T | null | undefined, message = 'Expected a value'): T {
  if (value === null || value === undefined) throw new AssertionError(message);
  return value;
}
