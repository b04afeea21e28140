import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span } from '@pilothouse/base';
import type { Exchange } from './exchange.ts';

/**
 * Which request the running code works for, so that calls of the store and of webhooks can be told as parts of its trace without a
 * parameter through every layer. Costs something on each promise once it is used: only a server with tracing makes one.
 */
export class ActiveExchange {
  readonly #storage = new AsyncLocalStorage<Exchange>();

  run<T>(exchange: Exchange, work: () => T): T {
    return this.#storage.run(exchange, work);
  }

  /** The span of the request, when there is one and it is recorded. */
  get span(): Span | undefined {
    return this.#storage.getStore()?.span;
  }
}
