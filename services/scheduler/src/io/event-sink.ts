import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { ResourceRef, RestClient } from '@pilothouse/client';
import { microTime } from '@pilothouse/client';

const events: ResourceRef = { group: 'events.k8s.io', version: 'v1', resource: 'events' };

const noteMaxLength = 1024;
/** Events being written at once; more wait. */
const writesInFlightMax = 16;
/** Events that wait; more are dropped, the oldest stay. */
const waitingMax = 4096;
const seriesMax = 4096;
/** An event that repeats within this time joins the series of the first. */
const seriesWindowMs = 360_000;
/** The count of a series is written at most so often. */
const seriesWriteMs = 60_000;

export interface ScheduledEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
  readonly related?: KubeObject;
}

interface Series {
  readonly event: KubeObject;
  count: number;
  atMs: number;
  writtenMs: number;
}

/** Writes events.k8s.io/v1 Events as upstream's scheduler does. Never waits for the caller and never fails it. */
export class EventSink {
  readonly #client: RestClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #controller: string;
  readonly #instance: string;
  readonly #series = new Map<string, Series>();
  readonly #waiting: (() => Promise<void>)[] = [];
  #inFlight = 0;
  #sequence = 0;

  constructor(options: {
    client: RestClient;
    clock: Clock;
    logger: Logger;
    controller: string;
    instance: string;
  }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#controller = options.controller;
    this.#instance = options.instance;
  }

  record(regarding: KubeObject, event: ScheduledEvent): void {
    if (this.#waiting.length >= waitingMax) return;
    this.#waiting.push(() => this.#write(regarding, event));
    this.#pump();
  }

  #pump(): void {
    while (this.#inFlight < writesInFlightMax) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#inFlight++;
      next()
        .catch((error: unknown) => this.#logger.debug('Event not written', { error: errorMessage(error) }))
        .finally(() => {
          this.#inFlight--;
          this.#pump();
        });
    }
  }

  async #write(regarding: KubeObject, event: ScheduledEvent): Promise<void> {
    const now = this.#clock.now();
    const about = reference(regarding);
    const related = event.related === undefined ? undefined : reference(event.related);
    const key = JSON.stringify([event.type, event.reason, event.action, about, related]);
    const series = this.#series.get(key);
    if (series !== undefined && now - series.atMs < seriesWindowMs) {
      series.count++;
      series.atMs = now;
      if (series.count > 2 && now - series.writtenMs < seriesWriteMs) return;
      series.writtenMs = now;
      const { name = '', namespace = '' } = series.event.metadata;
      const patch = { series: { count: series.count, lastObservedTime: microTime(now) } };
      try {
        await this.#client.patch(events, name, patch, { type: 'merge', namespace });
        return;
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
      }
    }
    const namespace = regarding.metadata.namespace ?? 'default';
    const suffix = (now * 1_000_000 + (this.#sequence++ % 1_000_000)).toString(16);
    const created: KubeObject = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${regarding.metadata.name ?? ''}.${suffix}`, namespace },
      eventTime: microTime(now),
      reportingController: this.#controller,
      reportingInstance: this.#instance,
      action: event.action,
      reason: event.reason,
      regarding: about,
      ...(related === undefined ? {} : { related }),
      note: event.note.length > noteMaxLength ? `${event.note.slice(0, noteMaxLength - 3)}...` : event.note,
      type: event.type,
    };
    if (this.#series.size >= seriesMax) this.#series.clear();
    this.#series.set(key, { event: created, count: 1, atMs: now, writtenMs: now });
    await this.#client.create(events, created, { namespace });
  }
}

function reference(object: KubeObject): object {
  const { namespace, name, uid, resourceVersion } = object.metadata;
  return { kind: object.kind, namespace, name, uid, apiVersion: object.apiVersion, resourceVersion };
}
