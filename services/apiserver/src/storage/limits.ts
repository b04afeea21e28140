/** Limits of the storage layer. Times in milliseconds, sizes in items unless named otherwise. */
export const storageLimits = {
  /** The average size of a resource's objects follows about so many of the latest. */
  sizesAveraged: 1000,
  /** Keys per request when a whole range is read. */
  listPageKeys: 5000,
  /** Events that wait for one reader of an uncached watch; then it is ended. */
  watchBufferEvents: 10_000,
  /** Objects kept between a write and its watch event. */
  ownWritesKept: 2048,
  /** Changes that a watch cache remembers for resuming watchers and for slow ones. */
  cacheEventsKept: 10_000,
  /** Events handed to a watcher at a time. */
  watchBatchEvents: 512,
  /** How long a read waits for the cache to reach a revision; then 504. */
  freshnessWaitMs: 3000,
  /** Between two requests for progress while somebody waits. */
  progressPeriodMs: 100,
  /** Between two bookmarks of a watcher; up to a quarter is added at random so that they do not come all at once. */
  bookmarkPeriodMs: 60_000,
  /** A last bookmark comes so long before the end of a watch with a timeout. */
  bookmarkBeforeEndMs: 2000,
  /** States kept for the pages of a list and for reads at an exact revision. */
  snapshotsKept: 64,
  /** Age of a snapshot when it is dropped. */
  snapshotAgeMs: 75_000,
  /** Between two compactions of the store's history. */
  compactionPeriodMs: 300_000,
} as const;
