import type { Clock, Logger, Random } from '@pilothouse/base';
import type { Replica } from '../../core/replica/replica.ts';
import type { MemberId, MemberInfo, StateMachine } from '../../core/replication.ts';
import type { PeerTransport } from '../peer/transport.ts';
import type { SnapshotStore } from '../snapshot/snapshot-store.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import type { SnapshotObserver } from './snapshot-observer.ts';

/** What a replica's shell carries things out with. */
export interface ReplicaShellOptions {
  readonly memberId: MemberId;
  readonly replica: Replica;
  readonly stateMachine: StateMachine;
  readonly writer: LogWriter;
  readonly snapshots: SnapshotStore;
  readonly transport: PeerTransport;
  readonly initialMembers: readonly MemberInfo[];
  readonly tickMs: number;
  readonly electionMs: number;
  readonly snapshotCatchUpEntries: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly defer: (callback: () => void) => void;
  readonly onFatal: (error: Error) => void;
  readonly onRemoved: () => void;
  readonly onSnapshot?: SnapshotObserver | undefined;
}
