import type { MemberId, Message, SnapshotMetadata } from '@pilothouse/raft';

/** What travels ahead of a snapshot's image. */
export interface SnapshotHeader {
  readonly from: MemberId;
  readonly to: MemberId;
  /** Term of the sender, so that a stale leader's snapshot is refused. */
  readonly term: Message['term'];
  readonly snapshot: SnapshotMetadata;
  /** The member list as of the snapshot, in the replica's encoding. */
  readonly members: Uint8Array;
}

export interface PeerHandler {
  onMessage(message: Message): void;
  /** A connection to or from `peer` was closed or reset. May come more than once. */
  onDisconnect(peer: MemberId): void;
  /**
   * Receives an image; resolves once it is stored durably and handed to consensus. Throwing refuses it. Chunks must be consumed
   * before the promise settles.
   */
  onSnapshot(header: SnapshotHeader, chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

/** Unreliable messages between members; nothing is queued for a member that cannot be reached. */
export interface PeerTransport {
  /** Begins to listen; from now on the handler is called. */
  start(handler: PeerHandler): Promise<void>;
  /** Sends without waiting, or drops. Never throws. */
  send(message: Message): void;
  /** Streams an image on a connection of its own; false when it did not arrive whole. */
  sendSnapshot(header: SnapshotHeader, chunks: AsyncIterable<Uint8Array>): Promise<boolean>;
  /** Who the peers are and where they listen; this member may be among them. */
  setPeers(peers: ReadonlyMap<MemberId, readonly string[]>): void;
  close(): Promise<void>;
}
