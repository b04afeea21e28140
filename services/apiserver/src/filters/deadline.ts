import type { Clock } from '@pilothouse/base';
import { Members } from '@pilothouse/base';
import { parseDuration } from '@pilothouse/host';
import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { Exchange } from '../request/exchange.ts';
import type { Filter } from './filter.ts';

/**
 * Bounds a request's time by `?timeout=` and by the server's own limit; what waits for it is aborted with 504. Long-running
 * requests have none.
 */
export function deadlineFilter(clock: Clock, requestTimeoutMs: number): Filter {
  const usual = new DeadlineQueue(clock, requestTimeoutMs);
  return (exchange) => {
    if (exchange.longRunning) return;
    const timeoutMs = Math.min(askedTimeoutMs(exchange), requestTimeoutMs);
    exchange.deadlineMs = exchange.receivedMs + timeoutMs;
    if (timeoutMs === requestTimeoutMs) {
      usual.add(exchange);
      return;
    }
    const timer = clock.setTimeout(() => expire(exchange), timeoutMs);
    exchange.onClose(() => timer.cancel());
  };
}

/** `?timeout=` in milliseconds; infinite when absent or not positive. Throws 400. */
function askedTimeoutMs(exchange: Exchange): number {
  const asked = exchange.query.get('timeout');
  if (asked === null || asked === '') return Number.POSITIVE_INFINITY;
  let value: number;
  try {
    value = parseDuration(asked);
  } catch {
    throw statusErrors.badRequest(
      `invalid timeout specified in the request URL - time: invalid duration ${goQuote(asked)}`,
    );
  }
  return value > 0 ? value : Number.POSITIVE_INFINITY;
}

function expire(exchange: Exchange): void {
  exchange.abort(statusErrors.timeout('request did not complete within the allotted timeout'));
}

/** So long the timer may outlast the last request. */
const sweepMsMax = 1000;

/** Exchanges with the same time limit end in the order in which they came: one timer for the oldest serves all. */
class DeadlineQueue {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** By arrival; a closed one leaves. */
  readonly #open = new Members<Exchange>();
  #isSweepDue = false;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  add(exchange: Exchange): void {
    const place = this.#open.add(exchange);
    exchange.onClose(() => place.leave());
    if (!this.#isSweepDue) this.#sweepIn(this.#timeoutMs);
  }

  /** A timer for each request that is alone would cost more than one that now and then finds nothing to do. */
  #sweepIn(delayMs: number): void {
    this.#isSweepDue = true;
    this.#clock.setTimeout(() => this.#sweep(), Math.min(Math.ceil(delayMs), sweepMsMax));
  }

  #sweep(): void {
    this.#isSweepDue = false;
    const now = this.#clock.monotonic();
    for (let place = this.#open.first; place?.value !== undefined; place = this.#open.first) {
      const exchange = place.value;
      const leftMs = exchange.startedMs + this.#timeoutMs - now;
      if (leftMs > 0) {
        this.#sweepIn(leftMs);
        return;
      }
      place.leave();
      expire(exchange);
    }
  }
}
