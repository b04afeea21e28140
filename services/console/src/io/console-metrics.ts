import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '@pilothouse/base';
import type { Metrics } from '@pilothouse/host';
import { followsChanges, requestMethod, requestSubject } from '../core/request-subject.ts';

/** Seconds; those of one question to the API server, which takes ten at most (`limits.questionTimeoutMs`), and of passed lists. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What the console tells of itself. Labels have few values, whatever is asked for: no paths, no users. */
export class ConsoleMetrics {
  readonly #clock: Clock;
  readonly #count: ReturnType<Metrics['counter']>;
  readonly #observe: ReturnType<Metrics['histogram']>;
  readonly countLogin: ReturnType<Metrics['counter']>;
  #inFlight = 0;
  #watches = 0;

  constructor(metrics: Metrics, clock: Clock, sessions: () => number) {
    this.#clock = clock;
    this.#count = metrics.counter(
      'pilothouse_console_requests_total',
      'Requests by what they asked for (page, session, api, store, drills, health), method and status; code 0: the browser went before there was an answer',
    );
    this.#observe = metrics.histogram(
      'pilothouse_console_request_duration_seconds',
      'From a request to the end of its answer, in seconds; without watches and followed logs',
      buckets,
    );
    this.countLogin = metrics.counter(
      'pilothouse_console_logins_total',
      'Logins by result: accepted, refused (credentials), failed (the API server did not say)',
    );
    metrics.gauge('pilothouse_console_requests_in_flight', 'Requests without watches', () => [
      [{}, this.#inFlight],
    ]);
    metrics.gauge('pilothouse_console_open_watches', 'Watches and followed logs that are passed on', () => [
      [{}, this.#watches],
    ]);
    metrics.gauge('pilothouse_console_sessions', 'Sessions that have not ended', () => [[{}, sessions()]]);
  }

  /** Counts a request from now to the end of its answer. */
  follow(request: IncomingMessage, response: ServerResponse, isAsset: (path: string) => boolean): void {
    const started = this.#clock.monotonic();
    const subject = requestSubject(request.url ?? '/', isAsset);
    const method = requestMethod(request.method);
    const isWatch = subject === 'api' && followsChanges(request.url ?? '/');
    if (isWatch) this.#watches++;
    else this.#inFlight++;
    response.once('close', () => {
      if (isWatch) this.#watches--;
      else {
        this.#inFlight--;
        this.#observe((this.#clock.monotonic() - started) / 1000, { subject, method });
      }
      const code = response.headersSent ? String(response.statusCode) : '0';
      this.#count({ subject, method: isWatch ? 'WATCH' : method, code });
    });
  }
}
