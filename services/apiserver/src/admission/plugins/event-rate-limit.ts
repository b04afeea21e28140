import type { Clock } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import type { EventLimit } from '../plugin-configs.ts';
import { joinFindings } from '../refusal.ts';

const defaultCacheSize = 4096;

/** Refuses events (v1) beyond the configured rates: over the server, by namespace, by user, by source and object. */
export function eventRateLimit({ clock, configs }: AdmissionDependencies): AdmissionPlugin {
  const limits = (configs?.eventLimits ?? []).map((limit) => new Buckets(limit, clock));
  return {
    name: 'EventRateLimit',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      if (attributes.kind.group !== '' || attributes.kind.kind !== 'Event' || attributes.dryRun) return;
      // Each limit counts, also when another one has refused.
      const findings = limits.flatMap((limit) => limit.refusal(attributes) ?? []);
      if (findings.length > 0)
        throw new StatusError(429, 'TooManyRequests', `Too many requests: ${joinFindings(findings)}`);
    },
  };
}

class Buckets {
  readonly #limit: EventLimit;
  readonly #clock: Clock;
  /** Least recently used first. */
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(limit: EventLimit, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Takes a token; why not when there is none. */
  refusal(attributes: AdmissionAttributes): string | undefined {
    const { type, qps, burst } = this.#limit;
    const key = keyOf(type, attributes);
    const nowMs = this.#clock.monotonic();
    const known = this.#buckets.get(key);
    const bucket = known ?? { tokens: burst, atMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * qps);
    bucket.atMs = nowMs;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const oldest = this.#buckets.keys().next().value;
    if (this.#buckets.size > (this.#limit.cacheSize || defaultCacheSize) && oldest !== undefined)
      this.#buckets.delete(oldest);
    if (bucket.tokens < 1) return `limit reached on type ${type} for key ${key}`;
    bucket.tokens--;
    return undefined;
  }
}

function keyOf(type: EventLimit['type'], { namespace, user, object }: AdmissionAttributes): string {
  switch (type) {
    case 'Server':
      return '';
    case 'Namespace':
      return namespace;
    case 'User':
      return user.name;
    case 'SourceAndObject':
      return object === undefined ? '' : sourceAndObject(object);
  }
}

function sourceAndObject(event: KubeObject): string {
  const source = (event['source'] ?? {}) as Record<string, string>;
  const about = (event['involvedObject'] ?? {}) as Record<string, string>;
  return [
    source['component'],
    source['host'],
    about['kind'],
    about['namespace'],
    about['name'],
    about['uid'],
    about['apiVersion'],
  ].join('');
}
