import type { Clock } from '@pilothouse/base';
import { parseDuration } from '@pilothouse/host';
import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { Filter } from './filter.ts';

/**
 * Bounds a request's time by `?timeout=` and by the server's own limit; what waits for it is aborted with 504. Long-running
 * requests have none.
 */
export function deadlineFilter(clock: Clock, requestTimeoutMs: number): Filter {
  return (exchange) => {
    if (exchange.longRunning) return;
    let timeoutMs = requestTimeoutMs;
    const asked = exchange.query.get('timeout');
    if (asked !== null && asked !== '') {
      let value: number;
      try {
        value = parseDuration(asked);
      } catch {
        throw statusErrors.badRequest(
          `invalid timeout specified in the request URL - time: invalid duration ${goQuote(asked)}`,
        );
      }
      if (value > 0) timeoutMs = Math.min(value, requestTimeoutMs);
    }
    exchange.deadlineMs = exchange.receivedMs + timeoutMs;
    const timer = clock.setTimeout(() => {
      exchange.abort(statusErrors.timeout('request did not complete within the allotted timeout'));
    }, timeoutMs);
    exchange.response.once('close', () => timer.cancel());
  };
}
