import type { Message } from './message.ts';
import type { Entry, HardState, ReadState, SnapshotMetadata, SoftState } from './types.ts';

/**
 * Effects to carry out. Several may be under way at once, in the order of their sequence.
 *
 * The contract with the shell:
 * 1. Make `snapshot`, `entries` and `hardState` durable, in that order and after those of every earlier Ready; then call
 *    `advance(sequence)`. Entries replace whatever the log holds from their first index on. Without `mustSync` there is nothing
 *    that has to reach the disk before the next one that has.
 * 2. Send `messages` at once: they claim nothing about this member's disk, so that appends travel while the leader
 *    itself writes, and heartbeats never wait for a disk.
 * 3. Send `messagesAfterPersist` only when everything of this and of all earlier Readys is durable: they are acknowledgements
 *    and votes. They may be lost, but not sent early.
 * 4. Apply `committedEntries` in order and call `applied(index)`. They are durable here already.
 * 5. With a `snapshot`, replace the state machine's state and call `applied(snapshot.index)`; no committed entries come before that.
 */
export interface Ready {
  readonly sequence: number;
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: SnapshotMetadata | undefined;
  readonly mustSync: boolean;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  readonly committedEntries: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Set when role, leader or term changed. */
  readonly softState: SoftState | undefined;
}
