import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { StatusError } from '@pilothouse/apimachinery';
import type { ObjectCodec } from './endpoints/codec.ts';
import { respondError, TextRefusal } from './endpoints/respond.ts';
import type { Filter } from './filters/filter.ts';
import type { ServerMetrics } from './metrics/server-metrics.ts';
import type { ActiveExchange } from './request/active-exchange.ts';
import type { Exchange } from './request/exchange.ts';

export interface PipelineOptions {
  readonly filters: readonly Filter[];
  readonly endpoint: Filter;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  /** Whether each request is worth a line of level debug. */
  readonly logsRequests: boolean;
  /** Present where requests are traced. */
  readonly active?: ActiveExchange;
}

const noop = (): void => undefined;

/**
 * Takes a request through the filters to its endpoint. Never rejects: whatever is thrown becomes the client's answer, and what is
 * not a StatusError is logged as this server's fault, so that one bad request cannot end the process.
 */
export class Pipeline {
  readonly #options: PipelineOptions;
  #active = 0;
  #idle: (() => void)[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  serve(exchange: Exchange): Promise<void> {
    const { active } = this.#options;
    return active === undefined ? this.#serve(exchange) : active.run(exchange, () => this.#serve(exchange));
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { filters, endpoint, codec, clock, logger, metrics } = this.#options;
    this.#observe(exchange);
    try {
      for (const filter of filters) {
        const pending = filter(exchange);
        if (pending) await pending;
      }
      await untilAborted(exchange, endpoint(exchange));
    } catch (error) {
      if (exchange.response.destroyed) return;
      if (error instanceof TextRefusal && error.code === 429) metrics.terminated(exchange, 429);
      else if (error instanceof StatusError && error.httpCode === 504) metrics.terminated(exchange, 504);
      if (!(error instanceof StatusError) && !(error instanceof TextRefusal)) {
        logger.error('A request failed unexpectedly', {
          auditId: exchange.auditId,
          method: exchange.method,
          uri: exchange.request.url,
          error: error instanceof Error ? (error.stack ?? error.message) : errorMessage(error),
        });
      }
      respondError(exchange, codec, clock, error);
    }
  }

  /** Resolves when no request is being served. */
  drained(): Promise<void> {
    if (this.#active === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #observe(exchange: Exchange): void {
    const { clock, logger, metrics, logsRequests } = this.#options;
    const { response } = exchange;
    this.#active++;
    response.on('error', noop);
    response.once('close', () => {
      exchange.closed();
      const durationMs = clock.monotonic() - exchange.startedMs;
      const code = response.statusCode;
      metrics.observe(
        exchange,
        code,
        durationMs,
        code === 404 || code === 401 || code === 403 || code === 405,
      );
      if (!response.writableEnded) exchange.abort(new Error('The client closed the connection'));
      if (logsRequests) {
        logger.debug('Request', {
          auditId: exchange.auditId,
          verb: exchange.info.verb,
          uri: exchange.request.url,
          code,
          durationMs: Math.round(durationMs * 1000) / 1000,
          user: exchange.user.name,
        });
      }
      if (--this.#active === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }
}

/** The deadline answers even when what the request waits for does not listen to its signal. */
function untilAborted(exchange: Exchange, work: void | Promise<void>): void | Promise<void> {
  if (!work || exchange.longRunning) return work;
  return new Promise((resolve, reject) => {
    const forget = exchange.onAbort((reason) => reject(reason as Error));
    work.then(
      () => {
        forget();
        resolve();
      },
      (error: unknown) => {
        forget();
        reject(error as Error);
      },
    );
  });
}
