import { StatusError } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { AdmissionTimes } from '../interface.ts';

const codeMax = 600;

/** Tells what became of webhooks. Upstream's names of the phases: `admit` and `validating`. */
export class WebhookMeter {
  readonly #type: 'admit' | 'validating';
  readonly #clock: Clock;
  #series: AdmissionTimes['webhooks'];

  constructor(mutating: boolean, clock: Clock) {
    this.#type = mutating ? 'admit' : 'validating';
    this.#clock = clock;
  }

  measure({ webhooks }: AdmissionTimes): void {
    this.#series = webhooks;
  }

  now(): number {
    return this.#clock.monotonic();
  }

  /** A call that was answered, whatever the webhook said. */
  allowed(name: string, operation: string, startedMs: number): void {
    this.#called(name, operation, startedMs, 200, false);
  }

  /** The webhook refused the request with this error. */
  denied(name: string, operation: string, startedMs: number, error: unknown): void {
    const code = codeOf(error);
    this.#rejected(name, operation, 'no_error', code);
    this.#called(name, operation, startedMs, code, true);
  }

  /** The call failed; `code` is what the client would see of it. */
  failed(name: string, operation: string, startedMs: number, isIgnored: boolean, code = 500): void {
    if (isIgnored) this.#series?.failOpen.cell(name, this.#type).inc();
    else this.#rejected(name, operation, 'calling_webhook_error', code);
    this.#called(name, operation, startedMs, code, !isIgnored);
  }

  conditionFailed(name: string, operation: string): void {
    this.#series?.conditionErrors.cell(name, 'webhook', this.#type, operation).inc();
  }

  excluded(name: string, operation: string): void {
    this.#series?.conditionExclusions.cell(name, 'webhook', this.#type, operation).inc();
  }

  conditionsTook(name: string, operation: string, startedMs: number): void {
    this.#series?.conditionSeconds
      .series(name, 'webhook', this.#type, operation)
      .observe((this.now() - startedMs) / 1000);
  }

  /** The breaker let a request pass, or refused it without a call. */
  broke(name: string, verdict: 'skip' | 'refuse'): void {
    const family = verdict === 'skip' ? this.#series?.skipped : this.#series?.notCalled;
    family?.cell(name, this.#type).inc();
  }

  dead(name: string, isDead: boolean): void {
    const cell = this.#series?.dead.cell(name, this.#type);
    if (cell !== undefined) cell.value = isDead ? 1 : 0;
  }

  #called(name: string, operation: string, startedMs: number, code: number, rejected: boolean): void {
    const series = this.#series;
    if (series === undefined) return;
    const seconds = (this.#clock.monotonic() - startedMs) / 1000;
    const shown = String(Math.min(code, codeMax));
    series.requests.cell(name, this.#type, operation, shown, String(rejected)).inc();
    series.seconds.series(name, this.#type, operation, String(rejected)).observe(seconds);
  }

  #rejected(name: string, operation: string, errorType: string, code: number): void {
    const shown = String(Math.min(code, codeMax));
    this.#series?.rejections.cell(name, this.#type, operation, errorType, shown).inc();
  }
}

const codeOf = (error: unknown): number => (error instanceof StatusError ? (error.status.code ?? 0) : 0);
