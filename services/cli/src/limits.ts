/** Numbers that bound what the command does, with their units. */
export const limits = {
  /** Less would be renewed without an end. */
  certificateLifetimeMinMs: 60_000,
  /** A child that dies again within this time is restarted ever later. */
  restartDelayMinMs: 100,
  restartDelayMaxMs: 5_000,
  restartQuietMs: 10_000,
  /** A child that ended this often before everything was ready will not come up. */
  startAttempts: 4,
  /** From SIGTERM to SIGKILL. */
  stopGraceMs: 10_000,
  /** From start to everything ready. */
  readyTimeoutMs: 180_000,
  probeIntervalMs: 150,
  probeTimeoutMs: 2_000,
  /** Of a member that replaces its lost self: one call, and how long it asks to be added. */
  rejoinCallTimeoutMs: 5_000,
  rejoinAttempts: 30,
  rejoinPauseMs: 1_000,
  /** Of scheduled backups: a store of objects that says nothing for so long has gone, and the least time between two. */
  backupStallMs: 60_000,
  backupPeriodMinMs: 1_000,
  balancerCheckIntervalMs: 500,
  balancerCheckTimeoutMs: 1_000,
  /** So many checks in a row without any answer: no new connections; and so many: the backend stands still, those it has are cut. */
  balancerSilentChecks: 3,
  balancerSilentChecksCut: 12,
  balancerConnectTimeoutMs: 1_000,
  balancerConnectionsMax: 20_000,
} as const;
