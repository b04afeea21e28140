import type { Clock, Logger } from '@pilothouse/base';
import { CodedError, errorMessage } from '@pilothouse/base';
import { hasReason } from '@pilothouse/apimachinery';
import type { QueueObserver } from './work-queue.ts';
import { WorkQueue } from './work-queue.ts';

/** What a reconcile asks for next: nothing, or to be called again after a while. */
export interface ReconcileResult {
  readonly requeueAfterMs?: number;
}

/** Retrying cannot help: the key is dropped until it changes. */
export class TerminalError extends CodedError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('terminal', message, options);
  }
}

export interface ControllerOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly workers?: number;
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
  /** Metrics of the queue of that name; default: none. */
  readonly observe?: ((name: string) => QueueObserver) | undefined;
}

/**
 * Workers over a {@link WorkQueue}: reconcile gets a key, never an event, brings the world closer to what is wanted and may be
 * called at any time, any number of times. A thrown error is retried with back-off; conflicts and not-founds are not logged as errors.
 */
export class Controller {
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  readonly #reconcile: (key: string) => Promise<ReconcileResult | void>;
  #workers: Promise<void>[] = [];

  constructor(options: ControllerOptions, reconcile: (key: string) => Promise<ReconcileResult | void>) {
    this.#options = options;
    this.#reconcile = reconcile;
    this.queue = new WorkQueue(options.clock, {
      ...(options.baseDelayMs === undefined ? {} : { baseDelayMs: options.baseDelayMs }),
      ...(options.maxDelayMs === undefined ? {} : { maxDelayMs: options.maxDelayMs }),
      ...(options.observe === undefined ? {} : { observer: options.observe(options.name) }),
    });
  }

  start(): void {
    for (let count = this.#options.workers ?? 5; count > 0; count--) this.#workers.push(this.#work());
  }

  async stop(): Promise<void> {
    this.queue.close();
    await Promise.all(this.#workers);
    this.#workers = [];
  }

  async #work(): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      try {
        const result = await this.#reconcile(key);
        this.queue.forget(key);
        if (result?.requeueAfterMs !== undefined) this.queue.addAfter(key, result.requeueAfterMs);
      } catch (error) {
        if (error instanceof TerminalError) this.queue.forget(key);
        else this.queue.addRateLimited(key);
        const fields = { controller: this.#options.name, key, error: errorMessage(error) };
        if (hasReason(error, 'Conflict') || hasReason(error, 'NotFound') || hasReason(error, 'AlreadyExists'))
          this.#options.logger.debug('Reconcile will be repeated', fields);
        else this.#options.logger.warn('Reconcile failed', fields);
      } finally {
        this.queue.done(key);
      }
    }
  }
}
