import type { Clock, Logger, Random } from '@pilothouse/base';
import { connectionProblem, errorMessage, sleep } from '@pilothouse/base';
import { Connection, type Dial, type Metadata } from './connection.ts';
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
  /** The call belongs to this trace (W3C Trace Context). */
  readonly traceparent?: string;
}

export interface BalancerOptions {
  readonly endpoints: readonly Endpoint[];
  readonly tls: EtcdTls | (() => EtcdTls) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metadata: Metadata;
  /** Instead of sockets, in tests. */
  readonly dial?: Dial;
}

/**
 * Keeps one connection to one endpoint that works, and moves on at once when it does not. One that falls silent (see {@link SilenceWatch}) is
 * left for another as soon as that has spoken: what runs on it ends as unavailable, so that reads and watches go on elsewhere.
 */
export class Balancer {
  readonly #options: BalancerOptions;
  #next: number;
  #current: Connection | undefined;
  /** The current one, and those that were left while something ran on them. */
  readonly #open = new Set<Connection>();
  #isClosed = false;
  #lastProblem: string | undefined;
  /** Endpoints that were silent or out of reach, and until when they are the last choice. */
  readonly #avoided = new Map<Endpoint, number>();

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#next = options.random.integer(options.endpoints.length);
  }

  /** The connection in use, or a new one to the next endpoint; it may still be connecting. */
  connection(): Connection {
    if (this.#isClosed) throw new EtcdError(grpcCode.canceled, 'Etcd client is closed');
    if (this.#current !== undefined) return this.#current;
    const { endpoints, tls, clock, logger, dial } = this.#options;
    const endpoint = this.#choose();
    let wasUp = false;
    const connection = new Connection(endpoint, {
      clock,
      tls: typeof tls === 'function' ? tls() : tls,
      ...(dial === undefined ? {} : { dial }),
      ...(endpoints.length === 1
        ? {}
        : {
            silence: {
              onQuiet: (quiet) => this.#lookElsewhere(quiet),
              onSilent: (silent) => this.#giveUp(silent),
            },
          }),
      onDown: (down, error) => {
        this.#open.delete(down);
        if (this.#current === down) this.#current = undefined;
        if (!wasUp) this.#avoid(endpoint);
        if (error !== undefined) this.#lastProblem = `${endpoint.text}: ${connectionProblem(error)}`;
        if (!this.#isClosed && error !== undefined) {
          logger.debug('Lost the connection to an etcd endpoint', {
            endpoint: endpoint.text,
            error: errorMessage(error),
          });
        }
      },
    });
    connection.ready().then(
      () => (wasUp = true),
      () => {},
    );
    this.#current = connection;
    this.#open.add(connection);
    return connection;
  }

  #choose(): Endpoint {
    const { endpoints, clock } = this.#options;
    const now = clock.monotonic();
    const count = endpoints.length;
    for (let step = 0; step < count; step++) {
      const endpoint = endpoints[(this.#next + step) % count] as Endpoint;
      if ((this.#avoided.get(endpoint) ?? -Infinity) > now) continue;
      this.#next += step + 1;
      return endpoint;
    }
    return endpoints[this.#next++ % count] as Endpoint;
  }

  #avoid(endpoint: Endpoint): void {
    this.#avoided.set(endpoint, this.#options.clock.monotonic() + limits.avoidSilentMs);
  }

  /** New calls go elsewhere; those under way may still be answered. */
  #lookElsewhere(quiet: Connection): void {
    if (this.#isClosed) return;
    if (this.#current === quiet) this.#current = undefined;
    this.#avoid(quiet.endpoint);
    this.connection();
    quiet.retire();
  }

  /** Where all are silent, the fault is this machine's or the network's, and nothing is gained by giving up. */
  #giveUp(silent: Connection): void {
    if (this.#isClosed) return;
    const other = this.connection();
    if (other === silent || !other.isAudible) return;
    this.#options.logger.warn('An etcd endpoint stands still; going on with another', {
      endpoint: silent.endpoint.text,
      other: other.endpoint.text,
    });
    silent.abandon('the endpoint gives no sign of life');
  }

  /** Leaves an endpoint that answers but cannot serve (no leader, stopping); running calls on it go on. */
  leave(connection: Connection): void {
    if (this.#current !== connection || this.#options.endpoints.length === 1) return;
    this.#current = undefined;
    connection.retire();
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
        return await connection.unary(path, message, {
          timeoutMs,
          metadata,
          signal: options.signal,
          traceparent: options.traceparent,
        });
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

  /** Why the last connection that was lost or not made failed, with its endpoint. */
  get lastProblem(): string | undefined {
    return this.#lastProblem;
  }

  get metadata(): Metadata {
    return this.#options.metadata;
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }
}
