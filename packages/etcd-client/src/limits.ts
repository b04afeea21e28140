/** Limits and times of the client, with units in their names. */
export const limits = {
  connectTimeoutMs: 3_000,
  /** As upstream's client in an API server: ping after this much silence, give up after the timeout. */
  keepAliveIntervalMs: 30_000,
  keepAliveTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
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
