import type { WalRecord } from './record.ts';

/**
 * The durable side of a member's log, as the replica shell sees it. Batches become durable in order; batches that arrive while one
 * is being written share the next sync (group commit).
 */
export interface LogWriter {
  /** Calls `done` once `records` and all before are durable; with `mustSync` false, at the latest with the next batch that is. */
  append(records: readonly WalRecord[], mustSync: boolean, done: () => void): void;
  /** Old segments up to `index` are not needed any more. */
  release(index: number): void;
  /** Finishes what was appended, then closes the files. */
  close(): Promise<void>;
  /** Stops writing at once; what is not durable yet may be lost. */
  abandon(): void;
}
