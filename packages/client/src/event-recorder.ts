import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { secondTime } from './micro-time.ts';
import type { RestClient } from './rest-client.ts';

const events = { group: '', version: 'v1', resource: 'events' } as const;

/** What an event is about; the reference that goes into involvedObject. */
export interface EventTarget {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
  };
  readonly fieldPath?: string;
}

interface Seen {
  readonly event: KubeObject;
  count: number;
}

/**
 * Writes core/v1 Events as client-go's recorder does: an event that repeats (same source, object, type, reason, message) raises the
 * count of the first; more than 10 alike but for the message within 10 minutes become one "(combined from similar events)".
 * Recording never waits and never fails the caller; a burst over 25 events per object (refilled one per 5 minutes) is dropped.
 */
export class EventRecorder {
  readonly #client: RestClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #component: string;
  readonly #host: string;
  readonly #seen = new Map<string, Seen>();
  readonly #similar = new Map<string, { messages: Set<string>; sinceMs: number }>();
  readonly #tokens = new Map<string, { tokens: number; atMs: number }>();
  #chain: Promise<void> = Promise.resolve();
  #sequence = 0;

  constructor(
    client: RestClient,
    options: { clock: Clock; logger: Logger; component: string; host?: string },
  ) {
    this.#client = client;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#component = options.component;
    this.#host = options.host ?? '';
  }

  event(
    target: EventTarget | KubeObject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    options: { annotations?: Record<string, string> } = {},
  ): void {
    this.#chain = this.#chain.then(() =>
      this.#write(target as EventTarget, type, reason, message, options).catch((error: unknown) =>
        this.#logger.debug('Event not written', { reason, error: errorMessage(error) }),
      ),
    );
  }

  /** Resolves when everything recorded so far was written or given up. */
  flush(): Promise<void> {
    return this.#chain;
  }

  async #write(
    target: EventTarget,
    type: string,
    reason: string,
    text: string,
    options: { annotations?: Record<string, string> },
  ): Promise<void> {
    const nowMs = this.#clock.now();
    const { name = '', namespace, uid = '', resourceVersion } = target.metadata;
    const aboutKey = `${target.apiVersion}/${target.kind}/${namespace ?? ''}/${name}/${uid}/${target.fieldPath ?? ''}`;
    if (!this.#takeToken(aboutKey, nowMs)) return;
    const similarKey = `${aboutKey}|${type}|${reason}`;
    let similar = this.#similar.get(similarKey);
    if (!similar || nowMs - similar.sinceMs > 600_000)
      this.#similar.set(similarKey, (similar = { messages: new Set(), sinceMs: nowMs }));
    similar.sinceMs = nowMs;
    similar.messages.add(text);
    const combined = similar.messages.size >= 10;
    const message = (combined ? `(combined from similar events): ${text}` : text).slice(0, 1024);
    const key = combined ? `${similarKey}|combined` : `${similarKey}|${text}`;
    const now = secondTime(nowMs);
    const seen = this.#seen.get(key);
    if (seen) {
      seen.count++;
      try {
        await this.#client.patch(
          events,
          seen.event.metadata.name ?? '',
          { count: seen.count, lastTimestamp: now, ...(combined ? { message } : {}) },
          { type: 'merge', namespace: seen.event.metadata.namespace ?? 'default' },
        );
        return;
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
        this.#seen.delete(key);
      }
    }
    const eventNamespace = namespace === undefined || namespace === '' ? 'default' : namespace;
    const suffix = `${(nowMs * 1_000_000 + this.#sequence++).toString(16)}`;
    const created = await this.#client.create(
      events,
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: {
          name: `${name}.${suffix}`,
          namespace: eventNamespace,
          ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
        },
        involvedObject: {
          kind: target.kind,
          ...(namespace === undefined ? {} : { namespace }),
          name,
          uid,
          apiVersion: target.apiVersion,
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
          ...(target.fieldPath === undefined ? {} : { fieldPath: target.fieldPath }),
        },
        reason,
        message,
        source: { component: this.#component, ...(this.#host === '' ? {} : { host: this.#host }) },
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
        type,
        eventTime: null,
        // As client-go leaves it: the combining is done after the reporter is named.
        reportingComponent: combined ? '' : this.#component,
        reportingInstance: this.#host,
      },
      { namespace: eventNamespace },
    );
    if (this.#seen.size >= 4096) this.#seen.clear();
    this.#seen.set(key, { event: created, count: 1 });
  }

  #takeToken(key: string, nowMs: number): boolean {
    const burst = 25;
    const refillMs = 300_000;
    const bucket = this.#tokens.get(key) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs);
    if (this.#tokens.size >= 4096) this.#tokens.clear();
    this.#tokens.set(key, { tokens: Math.max(0, tokens - 1), atMs: nowMs });
    return tokens >= 1;
  }
}
