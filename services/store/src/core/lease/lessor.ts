import { StoreError } from '../errors.ts';
import type { KeyText } from '../key-text.ts';
import { limits } from '../limits.ts';

/** A lease; `keys` are those attached to it now. */
export interface Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly keys: ReadonlySet<KeyText>;
}

interface HeldLease extends Lease {
  readonly keys: Set<KeyText>;
  /** Replicated: what a new leader leaves of the TTL; 0: all of it. */
  remainingSeconds: number;
  /** Monotonic milliseconds; Infinity on a member that does not lead. */
  expiresAtMs: number;
  /** Leader only: when {@link remainingSeconds} was last looked after. */
  checkpointedAtMs: number;
  /** Leader only: checkpoints that were proposed in this term, and how many of them were taken back since. */
  checkpoints: number;
  checkpointsTakenBack: number;
}

/**
 * Leases and their keys are replicated state; expiry times are not: only the leader counts time, and it starts anew when it
 * begins to lead, from the last checkpoint of a lease if there is one. Expired leases are revoked through the log.
 */
export class Lessor {
  readonly #leases = new Map<bigint, HeldLease>();
  readonly #leaseOf = new Map<KeyText, bigint>();
  readonly #ttlSecondsMin: number;
  #isPrimary = false;
  /** Since the start, for metrics. */
  readonly counts = { granted: 0, revoked: 0, renewed: 0 };
  /** Told of the TTL of each new lease, seconds. */
  onGranted: (ttlSeconds: number) => void = () => {};

  constructor(ttlSecondsMin: number) {
    this.#ttlSecondsMin = ttlSecondsMin;
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Replicated. Raises a TTL below the minimum. Expiry counts from the next {@link Lessor.renew} or from `nowMs`. */
  grant(id: bigint, ttlSeconds: number, nowMs: number): Lease {
    if (ttlSeconds > limits.leaseTtlSecondsMax) throw new StoreError('leaseTtlTooLarge');
    if (id === 0n) throw new StoreError('leaseNotFound');
    if (this.#leases.has(id)) throw new StoreError('leaseExists');
    const lease = this.#add(id, Math.max(ttlSeconds, this.#ttlSecondsMin), nowMs);
    this.counts.granted++;
    this.onGranted(lease.ttlSeconds);
    return lease;
  }

  /** Takes over a lease from stored state. */
  load(id: bigint, ttlSeconds: number, remainingSeconds = 0): void {
    this.#add(id, ttlSeconds, 0);
    this.checkpoint(id, remainingSeconds);
  }

  /** Replicated. A leader from now on gives the lease only `remainingSeconds`; 0: its whole TTL. False: there is no such lease. */
  checkpoint(id: bigint, remainingSeconds: number): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    lease.remainingSeconds = Math.max(0, Math.min(remainingSeconds, lease.ttlSeconds));
    return true;
  }

  #add(id: bigint, ttlSeconds: number, nowMs: number): Lease {
    const lease: HeldLease = {
      id,
      ttlSeconds,
      keys: new Set(),
      remainingSeconds: 0,
      checkpointedAtMs: nowMs,
      checkpoints: 0,
      checkpointsTakenBack: 0,
      expiresAtMs: this.#isPrimary ? nowMs + ttlSeconds * 1000 : Infinity,
    };
    this.#leases.set(id, lease);
    return lease;
  }

  /** Replicated. Forgets the lease and returns its keys in order, for the caller to delete. */
  revoke(id: bigint): KeyText[] {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw new StoreError('leaseNotFound');
    this.#leases.delete(id);
    this.counts.revoked++;
    const keys = [...lease.keys].sort();
    for (const key of keys) this.#leaseOf.delete(key);
    return keys;
  }

  get(id: bigint): Lease | undefined {
    return this.#leases.get(id);
  }

  exists(id: bigint): boolean {
    return this.#leases.has(id);
  }

  leaseOf(key: KeyText): bigint {
    return this.#leaseOf.get(key) ?? 0n;
  }

  /** Replicated. Moves `key` to lease `id`; 0n only detaches it. */
  attach(key: KeyText, id: bigint): void {
    const old = this.#leaseOf.get(key);
    if (old === id || (old === undefined && id === 0n)) return;
    if (old !== undefined) {
      this.#leases.get(old)?.keys.delete(key);
      this.#leaseOf.delete(key);
    }
    if (id === 0n) return;
    this.#leases.get(id)?.keys.add(key);
    this.#leaseOf.set(key, id);
  }

  ids(): bigint[] {
    return [...this.#leases.keys()];
  }

  clear(): void {
    this.#leases.clear();
    this.#leaseOf.clear();
  }

  // ---- Time: leader only, not replicated ----

  get isPrimary(): boolean {
    return this.#isPrimary;
  }

  /** This member leads now: every lease gets its TTL, or what the last checkpoint left of it, plus `extendMs` for the time without a leader. */
  promote(nowMs: number, extendMs: number): void {
    this.#isPrimary = true;
    for (const lease of this.#leases.values()) {
      const seconds = lease.remainingSeconds > 0 ? lease.remainingSeconds : lease.ttlSeconds;
      lease.expiresAtMs = nowMs + seconds * 1000 + extendMs;
      lease.checkpointedAtMs = nowMs;
      // Checkpoints of earlier terms have no effect any more.
      lease.checkpoints = lease.checkpointsTakenBack = 0;
    }
  }

  demote(): void {
    this.#isPrimary = false;
    for (const lease of this.#leases.values()) lease.expiresAtMs = Infinity;
  }

  /** Starts the TTL anew; undefined when the lease does not exist or has expired and only waits for its revocation. */
  renew(id: bigint, nowMs: number): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined || lease.expiresAtMs <= nowMs) return undefined;
    this.counts.renewed++;
    if (this.#isPrimary) lease.expiresAtMs = nowMs + lease.ttlSeconds * 1000;
    return lease.ttlSeconds;
  }

  /**
   * Whether a renewal must first take a checkpoint back, or the next leader would end the lease early: the number to give to
   * {@link Lessor.checkpointsTakenBack} once a checkpoint with nothing in it, proposed after this call, is applied. Undefined: no need.
   */
  checkpointsToTakeBack(id: bigint): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    return lease.remainingSeconds > 0 || lease.checkpoints > lease.checkpointsTakenBack
      ? lease.checkpoints
      : undefined;
  }

  checkpointsTakenBack(id: bigint, count: number): void {
    const lease = this.#leases.get(id);
    if (lease) lease.checkpointsTakenBack = Math.max(lease.checkpointsTakenBack, count);
  }

  /**
   * Up to `max` leases of which a part of the TTL has gone by and that were not looked at for `intervalMs`, with the whole seconds that
   * are left. Whoever asks proposes these checkpoints, in this term only. Shorter leases are not worth one.
   */
  dueCheckpoints(nowMs: number, intervalMs: number, max: number): { id: bigint; remainingSeconds: number }[] {
    const due: { id: bigint; remainingSeconds: number }[] = [];
    if (!this.#isPrimary) return due;
    for (const lease of this.#leases.values()) {
      if (due.length >= max) break;
      if (lease.ttlSeconds * 1000 <= intervalMs || nowMs - lease.checkpointedAtMs < intervalMs) continue;
      const remainingSeconds = Math.ceil((lease.expiresAtMs - nowMs) / 1000);
      if (remainingSeconds <= 0) continue;
      lease.checkpointedAtMs = nowMs;
      if (remainingSeconds >= lease.ttlSeconds) continue;
      lease.checkpoints++;
      due.push({ id: lease.id, remainingSeconds });
    }
    return due;
  }

  /** Whole seconds left, at least 0; undefined for an unknown lease. */
  remainingSeconds(id: bigint, nowMs: number): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    if (lease.expiresAtMs === Infinity) return lease.ttlSeconds;
    return Math.max(0, Math.trunc((lease.expiresAtMs - nowMs) / 1000));
  }

  /** Up to `max` leases whose time is over, in no particular order. */
  expired(nowMs: number, max: number): bigint[] {
    if (!this.#isPrimary) return [];
    const ids: bigint[] = [];
    for (const lease of this.#leases.values()) {
      if (lease.expiresAtMs > nowMs) continue;
      ids.push(lease.id);
      if (ids.length >= max) break;
    }
    return ids;
  }
}
