import type { Clock, Disk, Logger, Random } from '@pilothouse/base';
import type { MemberId, MemberInfo, StateMachine } from '../../core/replication.ts';
import type { PeerTls } from '../peer/tcp-transport.ts';
import type { PeerTransport } from '../peer/transport.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import type { WalPosition } from '../wal/wal.ts';
import type { SnapshotObserver } from './snapshot-observer.ts';

/** Options of {@link createReplica}. Ports default to the machine's own. */
export interface CreateReplicaOptions {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  /**
   * With `isNewCluster`: every initial member, the same on each of them. Without: whoever is known now, to be reachable until
   * the log tells more. Ignored for addresses once the log knows better.
   */
  readonly initialMembers: readonly MemberInfo[];
  /** Start the log with the initial members; only for a data directory that has none. */
  readonly isNewCluster: boolean;
  /** Absolute. Holds `wal/` and `snap/`. */
  readonly dataDirectory: string;
  /** Absolute; default `<dataDirectory>/wal`. */
  readonly walDirectory?: string;
  readonly stateMachine: StateMachine;
  /** Where to listen for peers; not needed with an own `transport`. */
  readonly listen?: readonly { readonly host: string; readonly port: number }[];
  readonly tls?: PeerTls;
  /** Heartbeat interval, milliseconds; default 100. */
  readonly heartbeatMs?: number;
  /** Election timeout, milliseconds; default 1000. */
  readonly electionMs?: number;
  /** Applied entries between snapshots; default 10000. */
  readonly snapshotCount?: number;
  /** Entries kept before a snapshot for followers that are a little behind; default 5000. */
  readonly snapshotCatchUpEntries?: number;
  /** Default 16 MiB. */
  readonly walSegmentBytes?: number;
  /** Default 5 s and two election timeouts. */
  readonly requestTimeoutMs?: number;
  /** Proposals that may wait at once; default 20000. */
  readonly pendingProposalsMax?: number;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly disk?: Disk;
  readonly transport?: PeerTransport;
  /** Makes the durable writer; default a thread of its own. */
  readonly openLogWriter?: (position: WalPosition, onError: (error: unknown) => void) => LogWriter;
  /** Runs `callback` at the end of the current turn of the event loop; default setImmediate. */
  readonly defer?: (callback: () => void) => void;
  /** Storage failed or an invariant broke: the process must end. Nothing is acknowledged any more. */
  readonly onFatal?: (error: Error) => void;
  /** This member was removed from the cluster and has stopped taking part. */
  readonly onRemoved?: () => void;
  /** Duration of each log sync, for metrics. */
  readonly onSync?: (seconds: number) => void;
  /** Bytes of records that the log was given, for metrics. */
  readonly onLogBytes?: (bytes: number) => void;
  /** Told of work on snapshots, for metrics. */
  readonly onSnapshot?: SnapshotObserver;
}
