import type { ReplicationError } from '../replication-error.ts';

/** Where a result goes; the two ends of a promise. */
export interface Completion {
  resolve(value: unknown): void;
  reject(error: ReplicationError): void;
}
