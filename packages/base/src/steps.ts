/** Work that can be left alone between its steps: each `yield` is a place where others may go first. */
export type Steps<T> = Generator<void, T, void>;

/** Does all of it at once. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
