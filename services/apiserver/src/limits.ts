/** Bounds of the API server's HTTP edge, with units. Reaching one gives the answer named beside it. */
export const limits = {
  /** Body of a write, bytes (3 MiB, etcd's request limit times two, as upstream): 413. */
  requestBytesMax: 3 * 1024 * 1024,
  /** Operations of one JSON patch: 413. */
  jsonPatchOperationsMax: 10_000,
  /** Sum of request header bytes, as Go's default: the connection ends with 431. */
  headerBytesMax: 1024 * 1024,
  /** A TLS handshake that takes longer is cut. */
  handshakeMs: 10_000,
  /** Headers of an HTTP/1.1 request must be complete within this time. */
  headersMs: 32_000,
  /** How often connections whose headers are late are looked for. */
  headersCheckMs: 5_000,
  /** An idle HTTP/1.1 connection is closed after this time (upstream: 90 s). */
  keepAliveMs: 90_000,
  /** Requests multiplexed on one HTTP/2 connection. */
  concurrentStreamsMax: 250,
  /** An answer of at least this size is compressed for a client that accepts gzip. */
  gzipBytesMin: 128 * 1024,
  /** Attempts of a PATCH that lost a race and gave no resourceVersion. */
  patchAttemptsMax: 5,
  /** Watch frames that are ready together are sent in writes of about this size. */
  watchWriteBytes: 64 * 1024,
  /** So many events at most are sent by frames that watchers share; more are a backlog that only one watcher has. */
  watchFramesShared: 8,
  /** Frames of the latest changes that are kept for other watchers, for each encoding. */
  watchFramesKept: 64,
  /** Pieces of a LIST are joined to writes of about this size. */
  listWriteBytes: 256 * 1024,
  /** Seconds that a client which got 429 should wait. */
  retryAfterSeconds: 1,
  /** The same for a client of a server that is ending. */
  shutdownRetryAfterSeconds: 5,
  /** How long connections may drain after listening stopped. */
  drainMs: 60_000,
  /** So long connections stay open after the last answer, for their clients to hear that they should go elsewhere. */
  goawayNoticeMs: 250,
  /** Most bytes of an unread body that are thrown away before the connection is cut. */
  discardBytesMax: 16 << 20,
  /** So long the rest of a body is waited for, after an answer that did not need it. */
  lingerMs: 2000,
  /** Audit-Id values from the client that are longer are replaced. */
  auditIdLengthMax: 64,
} as const;
