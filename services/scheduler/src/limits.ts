/** Limits of the scheduler; units in the names. */
export const schedulerLimits = {
  /** Bindings under way at once; the loop waits for a slot beyond. */
  bindingsInFlightMax: 256,
  /** The loop lets other work run after so long. */
  sliceMs: 8,
  /** Ends of backoffs are looked for at least so often. */
  queueTickMs: 1_000,
} as const;
