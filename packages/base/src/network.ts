/** Where a frame comes from or goes to: a member or host name that means something to the {@link Network} in use. */
export type Address = string;

/**
 * Unreliable, unordered-at-worst delivery of byte frames between members. Frames may be lost, delayed, duplicated
 * and reordered, never altered: an implementation on sockets checks integrity itself.
 */
export interface Network {
  /** Sends without waiting. A frame to an unreachable peer is dropped. */
  send(to: Address, frame: Uint8Array): void;
  /** Sets the one receiver of frames for this endpoint. */
  onReceive(receiver: (from: Address, frame: Uint8Array) => void): void;
  /** Tells when a peer's connection breaks, so that an election need not wait for a timeout. */
  onDisconnect(listener: (peer: Address) => void): void;
}
