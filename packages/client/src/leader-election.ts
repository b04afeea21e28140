import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger, Random } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { microTime } from './micro-time.ts';
import type { RestClient } from './rest-client.ts';

const leases = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' } as const;

/** Times in milliseconds; upstream's defaults are 15 s, 10 s and 2 s. leaseDuration > renewDeadline > retryPeriod × 1.2. */
export interface LeaderElectionOptions {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
  onStartedLeading(): void;
  /** The lease was lost or could not be renewed in time: writing must stop before this returns. */
  onStoppedLeading(): void;
}

interface Observed {
  readonly resourceVersion: string;
  readonly atMs: number;
}

/**
 * Leadership by a coordination lease (client-go's leaderelection). Time is measured from local observations only, so clocks of
 * different hosts need not agree. On a clean stop the lease is released, so that the next holder need not wait for its end.
 */
export class LeaderElector {
  readonly #options: Required<LeaderElectionOptions>;
  #leading = false;
  #stopped = false;
  #lease: KubeObject | undefined;
  #observed: Observed | undefined;
  #lastRenewMs = 0;
  #wake: (() => void) | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(options: LeaderElectionOptions) {
    this.#options = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000, ...options };
  }

  get isLeader(): boolean {
    return this.#leading;
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    await this.#done;
    if (this.#leading) {
      this.#setLeading(false);
      await this.#release();
    }
  }

  async #run(): Promise<void> {
    const { clock, random, logger, retryPeriodMs, renewDeadlineMs } = this.#options;
    while (!this.#stopped) {
      const started = clock.monotonic();
      let held = false;
      try {
        held = await this.#within(renewDeadlineMs, this.#tryAcquireOrRenew());
      } catch (error) {
        logger.debug('Lease attempt failed', { lease: this.#options.name, error: errorMessage(error) });
      }
      if (this.#stopped) return;
      if (held) {
        this.#lastRenewMs = started;
        if (!this.#leading) {
          logger.info('Became leader', { lease: this.#options.name, identity: this.#options.identity });
          this.#setLeading(true);
        }
      } else if (this.#leading && clock.monotonic() - this.#lastRenewMs >= renewDeadlineMs) {
        logger.warn('Lost the lease', { lease: this.#options.name, identity: this.#options.identity });
        this.#setLeading(false);
      }
      await this.#pause(this.#leading ? retryPeriodMs : retryPeriodMs * (1 + 0.2 * random.float()));
    }
  }

  #setLeading(leading: boolean): void {
    this.#leading = leading;
    if (leading) this.#options.onStartedLeading();
    else this.#options.onStoppedLeading();
  }

  async #tryAcquireOrRenew(): Promise<boolean> {
    const { client, clock, namespace, name, identity, leaseDurationMs } = this.#options;
    const now = microTime(clock.now());
    let lease = this.#lease;
    if (!this.#leading || !lease) {
      try {
        lease = await client.get(leases, name, { namespace });
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
        this.#lease = await client.create(leases, {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name, namespace },
          spec: {
            holderIdentity: identity,
            leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
            acquireTime: now,
            renewTime: now,
            leaseTransitions: 0,
          },
        });
        return true;
      }
    }
    const version = lease.metadata.resourceVersion ?? '';
    if (this.#observed?.resourceVersion !== version)
      this.#observed = { resourceVersion: version, atMs: clock.monotonic() };
    const spec = (lease['spec'] ?? {}) as Record<string, unknown>;
    const holder = (spec['holderIdentity'] as string | undefined) ?? '';
    const heldByOther = holder !== '' && holder !== identity;
    const durationMs = Number(spec['leaseDurationSeconds'] ?? 15) * 1000;
    if (heldByOther && clock.monotonic() - this.#observed.atMs < durationMs) return false;
    try {
      this.#lease = await client.update(leases, {
        ...lease,
        spec: {
          ...spec,
          holderIdentity: identity,
          leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
          renewTime: now,
          acquireTime: holder === identity ? (spec['acquireTime'] ?? now) : now,
          leaseTransitions: Number(spec['leaseTransitions'] ?? 0) + (holder === identity ? 0 : 1),
        },
      });
    } catch (error) {
      // Somebody else wrote: look again next time instead of trusting the remembered object.
      this.#lease = undefined;
      if (hasReason(error, 'Conflict')) {
        this.#observed = undefined;
        if (this.#leading) {
          const seen = await client.get(leases, name, { namespace });
          if ((seen['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity === identity) {
            this.#lease = seen;
            return true;
          }
        }
        return false;
      }
      throw error;
    }
    this.#observed = { resourceVersion: this.#lease.metadata.resourceVersion ?? '', atMs: clock.monotonic() };
    return true;
  }

  async #release(): Promise<void> {
    const { client, clock } = this.#options;
    const lease = this.#lease;
    if (!lease) return;
    try {
      const spec = lease['spec'] as Record<string, unknown>;
      await client.update(leases, {
        ...lease,
        spec: { ...spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(clock.now()) },
      });
    } catch {
      // Only a courtesy: the lease ends by itself.
    }
  }

  #within<T>(limitMs: number, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimeout(() => reject(new Error('timed out')), limitMs);
      work.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimeout(resolve, delayMs);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
