import type { Clock, Timer } from '@pilothouse/base';
import { decodeMessage, encodeMessage, etcdserverpb } from '@pilothouse/proto';
import type { Balancer, CallOptions } from './balancer.ts';
import { EtcdError, grpcCode } from './errors.ts';
import { callUnary } from './kv.ts';
import { limits } from './limits.ts';

/** A lease that is being kept alive. */
export interface KeepAlive {
  /** Stops renewing; the lease then expires by itself. */
  stop(): void;
}

export class EtcdLease {
  readonly #balancer: Balancer;
  readonly #clock: Clock;

  constructor(balancer: Balancer, clock: Clock) {
    this.#balancer = balancer;
    this.#clock = clock;
  }

  /** `id` 0 or absent lets the server choose. */
  grant(ttlSeconds: number, id = 0n, options?: CallOptions): Promise<etcdserverpb.LeaseGrantResponse> {
    return callUnary(
      this.#balancer,
      'write',
      etcdserverpb.LeaseService.LeaseGrant,
      { TTL: ttlSeconds, ID: id },
      options,
    );
  }

  revoke(id: bigint, options?: CallOptions): Promise<etcdserverpb.LeaseRevokeResponse> {
    return callUnary(this.#balancer, 'write', etcdserverpb.LeaseService.LeaseRevoke, { ID: id }, options);
  }

  timeToLive(id: bigint, keys = false, options?: CallOptions): Promise<etcdserverpb.LeaseTimeToLiveResponse> {
    return callUnary(
      this.#balancer,
      'readOnly',
      etcdserverpb.LeaseService.LeaseTimeToLive,
      { ID: id, keys },
      options,
    );
  }

  /** Renews once; resolves with the new TTL in seconds, 0 when the lease is gone. */
  async keepAliveOnce(id: bigint, timeoutMs: number = limits.requestTimeoutMs): Promise<number> {
    const connection = this.#balancer.connection();
    if (!connection.isUp) await connection.ready();
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => {
        stream.cancel();
        reject(new EtcdError(grpcCode.deadlineExceeded, 'context deadline exceeded'));
      }, timeoutMs);
      const stream = connection.stream(
        etcdserverpb.LeaseService.LeaseKeepAlive.path,
        this.#balancer.metadata,
        {
          onMessage: (message) => {
            timer.cancel();
            stream.cancel();
            resolve(decodeMessage(etcdserverpb.LeaseKeepAliveResponse, message).TTL);
          },
          onEnd: (error) => {
            timer.cancel();
            this.#balancer.leave(connection);
            reject(error ?? new EtcdError(grpcCode.unavailable, 'Keep-alive stream ended without a reply'));
          },
        },
      );
      stream.write(encodeMessage(etcdserverpb.LeaseKeepAliveRequest, { ID: id }));
    });
  }

  /** Renews at a third of the TTL until stopped or the lease is gone; `onLost` tells the latter. */
  keepAlive(id: bigint, ttlSeconds: number, onLost: () => void): KeepAlive {
    let stopped = false;
    let timer: Timer | undefined;
    let expires = this.#clock.monotonic() + ttlSeconds * 1000;
    const renew = async (): Promise<void> => {
      let pauseMs = (ttlSeconds * 1000) / 3;
      try {
        const ttl = await this.keepAliveOnce(id, Math.max(500, pauseMs));
        if (ttl === 0) expires = -Infinity;
        else expires = this.#clock.monotonic() + ttl * 1000;
      } catch {
        pauseMs = Math.min(pauseMs, 500);
      }
      if (stopped) return;
      if (this.#clock.monotonic() >= expires) onLost();
      else timer = this.#clock.setTimeout(() => void renew(), pauseMs);
    };
    timer = this.#clock.setTimeout(() => void renew(), (ttlSeconds * 1000) / 3);
    return {
      stop: () => {
        stopped = true;
        timer?.cancel();
      },
    };
  }
}
