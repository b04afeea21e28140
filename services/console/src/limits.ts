/** Numbers that bound what the console does, with their units. */
export const limits = {
  /** Largest body of a login, and of a request that is passed on (the API server takes 3 MiB). */
  loginBytesMax: 256 * 1024,
  requestBytesMax: 4 * 1024 * 1024,
  sessionsMax: 1_000,
  /** A session ends when it was not used for so long, and in any case after the second time. */
  sessionIdleMs: 60 * 60_000,
  sessionLifetimeMs: 12 * 60 * 60_000,
  sessionSweepMs: 60_000,
  /** Random bytes of session ids and one-time codes. */
  secretBytes: 32,
  /** Of a question that the console itself asks of the API server. */
  questionTimeoutMs: 10_000,
  /** Largest answer to such a question. */
  answerBytesMax: 1024 * 1024,
  /** Of one question to a store member, which may be gone. */
  storeTimeoutMs: 2_000,
  /** Metrics of a member, in bytes. */
  metricsBytesMax: 4 * 1024 * 1024,
  /** Of a look at an object's past: revisions, bytes of all of them together, and milliseconds when it has to search for them. */
  historyRevisionsMax: 100,
  historyBytesMax: 8 * 1024 * 1024,
  historySearchMs: 10_000,
  /** A drill report. */
  reportBytesMax: 16 * 1024 * 1024,
  reportsMax: 500,
  /** Header fields of a request, in bytes. */
  headerBytesMax: 32 * 1024,
} as const;
