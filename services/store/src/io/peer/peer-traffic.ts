import type { Clock } from '@pilothouse/base';
import type { MemberId, Message } from '@pilothouse/raft';

/** What went between this member and one peer. */
export interface PeerCounts {
  sentBytes: number;
  receivedBytes: number;
  /** Messages that were dropped since the peer could not be reached or too much waited for it. */
  sentFailures: number;
  receivedFailures: number;
  heartbeatFailures: number;
  connections: number;
  disconnects: number;
}

interface Probe {
  readonly round: number;
  readonly sentMs: number;
}

/**
 * Counts what members send each other, in plain numbers that are read at scrape time. The way to a peer and back is measured with the
 * leader's heartbeats, one at a time for each peer, so only a leader knows it.
 */
export class PeerTraffic {
  readonly counts = new Map<MemberId, PeerCounts>();
  readonly #clock: Clock;
  readonly #onRoundTrip: (peer: MemberId, seconds: number) => void;
  readonly #probes = new Map<MemberId, Probe>();

  constructor(clock: Clock, onRoundTrip: (peer: MemberId, seconds: number) => void) {
    this.#clock = clock;
    this.#onRoundTrip = onRoundTrip;
  }

  of(peer: MemberId): PeerCounts {
    let counts = this.counts.get(peer);
    if (counts === undefined) {
      counts = {
        sentBytes: 0,
        receivedBytes: 0,
        sentFailures: 0,
        receivedFailures: 0,
        heartbeatFailures: 0,
        connections: 0,
        disconnects: 0,
      };
      this.counts.set(peer, counts);
    }
    return counts;
  }

  sent(message: Message, bytes: number): void {
    this.of(message.to).sentBytes += bytes;
    if (message.kind !== 'heartbeat') return;
    const probe = this.#probes.get(message.to);
    // A round that never comes back gives way to the next term's or to one ten seconds later.
    const nowMs = this.#clock.monotonic();
    if (probe === undefined || nowMs - probe.sentMs > 10_000)
      this.#probes.set(message.to, { round: message.round, sentMs: nowMs });
  }

  dropped(message: Message): void {
    const counts = this.of(message.to);
    counts.sentFailures++;
    if (message.kind === 'heartbeat') counts.heartbeatFailures++;
    this.#probes.delete(message.to);
  }

  received(message: Message, bytes: number): void {
    this.of(message.from).receivedBytes += bytes;
    if (message.kind !== 'heartbeatResponse') return;
    const probe = this.#probes.get(message.from);
    if (probe === undefined || message.round < probe.round) return;
    this.#probes.delete(message.from);
    this.#onRoundTrip(message.from, (this.#clock.monotonic() - probe.sentMs) / 1000);
  }

  refused(peer: MemberId): void {
    this.of(peer).receivedFailures++;
  }

  connected(peer: MemberId): void {
    this.of(peer).connections++;
  }

  disconnected(peer: MemberId): void {
    const counts = this.of(peer);
    counts.connections--;
    counts.disconnects++;
  }

  /** A peer that left the cluster. */
  forget(peer: MemberId): void {
    this.counts.delete(peer);
    this.#probes.delete(peer);
  }
}
