/** Limits and times of the client, with units in their names. */
export const limits = {
  connectTimeoutMs: 3_000,
  /** As upstream's client in an API server: ping after this much silence, give up after the timeout. */
  keepAliveIntervalMs: 30_000,
  keepAliveTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  /** Where there are other endpoints, the silence of one is looked at so often. */
  silenceTurnMs: 120,
  /** Turns without an answer to a ping until another endpoint is tried, and until the silent one is left. */
  silenceTurnsToQuiet: 2,
  silenceTurnsToSilent: 5,
  /** Shortest time between two pings without an answer to a call in between; a stock server takes 5 s. */
  pingSpacingMs: 6_000,
  /** A connection that only has watches is asked for a sign of life after so much silence. */
  idleAskMs: 1_000,
  /** Time for a connection to come up where there are other endpoints. */
  connectElsewhereMs: 1_500,
  /** An endpoint that fell silent is the last choice for so long. */
  avoidSilentMs: 10_000,
  /** Flow-control window of the connection and of each stream: lists of hundreds of MB must not stall. */
  windowBytes: 16 * 1024 * 1024,
  /** Pause between rounds over all endpoints when none of them answers. */
  retryPauseMinMs: 20,
  retryPauseMaxMs: 1_000,
  /** Longest wait until an idle watch stream is opened again after it broke. */
  watchReopenMaxMs: 500,
  /** Longest silence in a snapshot stream; a large store is written out before its first piece comes. */
  snapshotSilenceMs: 600_000,
} as const;
