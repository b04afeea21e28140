import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { AuditEvent } from './audit-event.ts';
import { auditJson, auditLegacy } from './audit-event.ts';

/** Where events go. */
export interface AuditSink {
  /** False, or a promise of it: the event is lost. Never throws or rejects. */
  write(event: AuditEvent): boolean | Promise<boolean>;
  /** Sends what is waiting. */
  close(): Promise<void>;
}

/** `blocking` waits for the write; `blocking-strict` also refuses the request when its first event is lost. */
export type AuditMode = 'batch' | 'blocking' | 'blocking-strict';

/** Batches of a backend that need not hold up requests. Times in milliseconds. */
export interface BatchOptions {
  readonly bufferSize: number;
  readonly maxSize: number;
  readonly maxWaitMs: number;
  /** Batches a second and at once; undefined: unlimited. */
  readonly throttle: { readonly qps: number; readonly burst: number } | undefined;
}

export interface BackendOptions {
  /** Name in metrics and logs: `log`, `webhook`. */
  readonly name: string;
  readonly mode: AuditMode;
  readonly batch: BatchOptions;
  /** Bytes of one event and of one batch; 0: no limit. */
  readonly eventBytesMax: number;
  readonly batchBytesMax: number;
  readonly format: 'json' | 'legacy';
  /** Writes lines; throws or rejects when it cannot. */
  send(lines: readonly string[]): void | Promise<void>;
  end?(): Promise<void>;
}

/** Formats events, cuts what is too large, and hands them to one backend, one by one or in batches. */
export class AuditBackend implements AuditSink {
  readonly #options: BackendOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: ServerMetrics;
  readonly #waiting: string[] = [];
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #tokens: number;
  #tokensAtMs: number;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  #closing = false;
  /** Ends the wait for the throttle. */
  #hurry: (() => void) | undefined;

  constructor(options: BackendOptions, ports: { clock: Clock; logger: Logger; metrics: ServerMetrics }) {
    this.#options = options;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#metrics = ports.metrics;
    this.#tokens = options.batch.throttle?.burst ?? 0;
    this.#tokensAtMs = this.#clock.monotonic();
  }

  write(event: AuditEvent): boolean | Promise<boolean> {
    const { mode, format, eventBytesMax } = this.#options;
    const line = format === 'legacy' ? auditLegacy(event) : auditJson(event, eventBytesMax);
    if (line === undefined) return this.#lost(1, 'event is too large even after truncating');
    if (mode === 'batch') return this.#queue(line);
    try {
      const sent = this.#options.send([line]);
      if (!(sent instanceof Promise)) return true;
      return sent.then(
        () => true,
        (error: unknown) => this.#lost(1, errorMessage(error)),
      );
    } catch (error) {
      return this.#lost(1, errorMessage(error));
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    this.#hurry?.();
    await this.#sending;
    await this.#drain();
    await this.#options.end?.();
  }

  #queue(line: string): boolean {
    const { bufferSize, maxSize, maxWaitMs } = this.#options.batch;
    if (this.#waiting.length >= bufferSize) return this.#lost(1, 'audit buffer queue blocked');
    this.#waiting.push(line);
    if (this.#waiting.length >= maxSize) this.#start();
    else this.#timer ??= this.#clock.setTimeout(() => this.#start(), maxWaitMs);
    return true;
  }

  #start(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = undefined;
      const { maxWaitMs } = this.#options.batch;
      if (this.#waiting.length > 0 && !this.#closing) {
        this.#timer ??= this.#clock.setTimeout(() => this.#start(), maxWaitMs);
      }
    });
  }

  /** Sends full batches, one after the other; the rest too once the time is up. */
  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#throttled();
      const lines = this.#take();
      try {
        await this.#options.send(lines);
      } catch (error) {
        this.#lost(lines.length, errorMessage(error));
      }
    }
  }

  #take(): string[] {
    const { batch, batchBytesMax } = this.#options;
    let count = 0;
    let bytes = 0;
    while (count < batch.maxSize && count < this.#waiting.length) {
      bytes += Buffer.byteLength(this.#waiting[count] as string);
      if (count > 0 && batchBytesMax > 0 && bytes > batchBytesMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #throttled(): Promise<void> {
    const { throttle } = this.#options.batch;
    if (throttle === undefined || this.#closing) return;
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(throttle.burst, this.#tokens + ((now - this.#tokensAtMs) / 1000) * throttle.qps);
    this.#tokensAtMs = now;
    this.#tokens--;
    if (this.#tokens >= 0 || throttle.qps <= 0) return;
    const waitMs = (-this.#tokens / throttle.qps) * 1000;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, waitMs);
      this.#hurry = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#hurry = undefined;
  }

  #lost(count: number, reason: string): false {
    const { name } = this.#options;
    this.#metrics.auditErrors.cell(name).inc(count);
    // A backend that is down would fill the log with one line for each request.
    const now = this.#clock.monotonic();
    if (now - this.#loggedAtMs >= 10_000) {
      this.#loggedAtMs = now;
      this.#logger.error('Audit events are lost', { plugin: name, events: count, error: reason });
    }
    return false;
  }
}
