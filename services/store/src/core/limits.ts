/** Limits of the store's core, with units in their names. */
export const limits = {
  /** Recent revisions kept in memory for watchers that lag; older ones are read from the backend. */
  watchLogEventsMax: 50_000,
  watchLogBytesMax: 64 * 1024 * 1024,
  /** Values kept in memory for reads; most of them are part of the watchers' memory as well. */
  valueCacheBytesMax: 32 * 1024 * 1024,
  /** How much one catch-up step puts into one watch response before it looks at backpressure again. */
  watchBatchEventsMax: 1_000,
  watchBatchBytesMax: 1024 * 1024,
  /** Events of history that one watcher may look through in one turn. */
  watchScanEventsMax: 10_000,
  /** Garbage revisions removed in one compaction step. */
  compactionBatchRevisions: 1_000,
  leaseTtlSecondsMax: 9_000_000_000,
  txnOpsMax: 128,
  requestBytesMax: 1_572_864,
  /** Bytes that a stored key costs beyond key and value, for the quota; as upstream. */
  putOverheadBytes: 256,
  leaseOverheadBytes: 64,
  quotaBytesDefault: 2 * 1024 * 1024 * 1024,
  snapshotChunkBytes: 256 * 1024,
} as const;
