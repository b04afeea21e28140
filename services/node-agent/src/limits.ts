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
} as const;
