/** Times in milliseconds. */
export const limits = {
  leaseDurationSeconds: 40,
  leaseRenewMs: 10_000,
  /** How often the node's conditions are refreshed when nothing changed (kubelet: nodeStatusReportFrequency). */
  nodeStatusMs: 60_000,
  /** A pod stays visible this long after its deletionTimestamp, its own grace permitting: a real one needs time to end too. */
  terminationMs: 400,
  /** From binding to running: a pulled image and a started process. */
  startMs: 60,
  crashBackoffMinMs: 10_000,
  crashBackoffMaxMs: 300_000,
  podWorkers: 8,
  /** What processes get between SIGTERM and SIGKILL when the agent is told to end them. */
  shutdownGraceMs: 2_000,
  /** Of each container's log file, and how many of them are kept (kubelet: containerLogMaxSize, containerLogMaxFiles). */
  logBytesMax: 10 * 1024 * 1024,
  logFilesMax: 5,
  /** How long an answer of TokenReview and SubjectAccessReview is believed (kubelet: 2 min, 5 min and 30 s). */
  tokenCacheMs: 120_000,
  allowedCacheMs: 300_000,
  deniedCacheMs: 30_000,
} as const;
