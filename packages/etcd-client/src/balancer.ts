import type { Clock, Logger, Random } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import { Connection, type Metadata } from './connection.ts';
import type { Endpoint, EtcdTls } from './endpoint.ts';
import { EtcdError, grpcCode } from './errors.ts';
import { limits } from './limits.ts';

/**
 * How a call may be repeated after a failure, always at the next endpoint:
 *
 * | call       | surely not sent | unavailable, or the connection broke | any other status |
 * |------------|-----------------|--------------------------------------|------------------|
 * | `readOnly` | yes             | yes                                  | no               |
 * | `write`    | yes             | no: it may have been applied         | no               |
 *
 * A write that was cut off reaches the caller as `unavailable`; the caller knows whether a second try is safe.
 */
export type CallKind = 'readOnly' | 'write';

export interface CallOptions {
  /** Overall time for all tries, milliseconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface BalancerOptions {
  readonly endpoints: readonly Endpoint[];
  readonly tls: EtcdTls | (() => EtcdTls) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metadata: Metadata;
}

/** Keeps one connection to one endpoint that works, and moves on at once when it does not. */
export class Balancer {
  readonly #options: BalancerOptions;
  #next: number;
  #current: Connection | undefined;
  #isClosed = false;

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#next = options.random.integer(options.endpoints.length);
  }

  /** The connection in use, or a new one to the next endpoint; it may still be connecting. */
  connection(): Connection {
    if (this.#isClosed) throw new EtcdError(grpcCode.canceled, 'Etcd client is closed');
    if (this.#current !== undefined) return this.#current;
    const { endpoints, tls, clock, logger } = this.#options;
    const endpoint = endpoints[this.#next++ % endpoints.length] as Endpoint;
    const connection = new Connection(endpoint, {
      clock,
      tls: typeof tls === 'function' ? tls() : tls,
      onDown: (down, error) => {
        if (this.#current === down) this.#current = undefined;
        if (!this.#isClosed && error !== undefined) {
          logger.debug('Lost the connection to an etcd endpoint', {
            endpoint: endpoint.text,
            error: errorMessage(error),
          });
        }
      },
    });
    this.#current = connection;
    return connection;
  }

  /** Leaves an endpoint that answers but cannot serve (no leader, stopping); running calls on it go on. */
  leave(connection: Connection): void {
    if (this.#current === connection && this.#options.endpoints.length > 1) this.#current = undefined;
  }

  async unary(
    kind: CallKind,
    path: string,
    message: Uint8Array,
    options: CallOptions = {},
  ): Promise<Uint8Array> {
    const { clock, metadata, endpoints } = this.#options;
    const deadline = clock.monotonic() + (options.timeoutMs ?? limits.requestTimeoutMs);
    for (let attempt = 1; ; attempt++) {
      if (options.signal?.aborted) throw new EtcdError(grpcCode.canceled, 'context canceled');
      const connection = this.connection();
      try {
        if (!connection.isUp) await connection.ready();
        const timeoutMs = deadline - clock.monotonic();
        if (timeoutMs <= 0) throw new EtcdError(grpcCode.deadlineExceeded, 'context deadline exceeded');
        return await connection.unary(path, message, { timeoutMs, metadata, signal: options.signal });
      } catch (error) {
        if (!(error instanceof EtcdError) || !error.isUnavailable || this.#isClosed) throw error;
        this.leave(connection);
        if (kind === 'write' && !error.notSent) throw error;
        if (attempt % endpoints.length === 0) await this.#pause(attempt / endpoints.length);
        if (clock.monotonic() >= deadline) throw error;
      }
    }
  }

  #pause(round: number): Promise<void> {
    const base = Math.min(limits.retryPauseMaxMs, limits.retryPauseMinMs * 2 ** (round - 1));
    return sleep(this.#options.clock, base * (0.5 + this.#options.random.float() / 2));
  }

  get metadata(): Metadata {
    return this.#options.metadata;
  }

  close(): void {
    this.#isClosed = true;
    this.#current?.close();
  }
}
