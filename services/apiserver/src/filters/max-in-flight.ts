import { privilegedGroup } from '../authentication/interface.ts';
import { TextRefusal } from '../endpoints/respond.ts';
import { limits } from '../limits.ts';
import type { Cell } from '../metrics/cells.ts';
import type { Filter } from './filter.ts';
import { tooManyRequestsText } from './flow-control.ts';

export interface MaxInFlightOptions {
  /** Reads in flight; 0 means no limit. */
  readonly maxReadOnly: number;
  /** Writes in flight; 0 means no limit. */
  readonly maxMutating: number;
  readonly inFlight: { readonly readOnly: Cell; readonly mutating: Cell };
}

const readOnlyVerbs = new Set(['get', 'list', 'watch']);

/**
 * Where priority and fairness is off: bounds the requests in flight, reads and writes apart; beyond it a client gets 429 with
 * Retry-After. Long-running requests and cluster administrators are not counted.
 */
export function maxInFlightFilter(options: MaxInFlightOptions): Filter {
  return (exchange) => {
    if (exchange.longRunning || exchange.user.groups.includes(privilegedGroup)) return;
    const isRead = exchange.info.isResourceRequest
      ? readOnlyVerbs.has(exchange.info.verb)
      : exchange.method === 'GET' || exchange.method === 'HEAD';
    const inFlight = isRead ? options.inFlight.readOnly : options.inFlight.mutating;
    const max = isRead ? options.maxReadOnly : options.maxMutating;
    if (max > 0 && inFlight.value >= max) {
      throw new TextRefusal(429, tooManyRequestsText, { 'Retry-After': String(limits.retryAfterSeconds) });
    }
    inFlight.inc();
    exchange.onClose(() => inFlight.dec());
  };
}
