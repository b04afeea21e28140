import type { AuditSink } from '../audit/sinks.ts';
import { AuditBackend } from '../audit/sinks.ts';
import type { RedisLink } from './redis-link.ts';

/** Of the stream in Redis: older events leave. */
const streamEntriesMax = 100_000;
export const auditStream = 'pilothouse:audit';

/**
 * Fans audit events out as entries of a Redis stream, field `event` with the JSON. For readers that may miss some: while Redis is away events
 * are counted as lost and no request waits. The log and the webhook are the backends that keep all.
 */
export function redisAuditStream(
  link: RedisLink,
  ports: ConstructorParameters<typeof AuditBackend>[1],
): AuditSink {
  return new AuditBackend(
    {
      name: 'redis',
      mode: 'batch',
      format: 'json',
      batch: { bufferSize: 10_000, maxSize: 100, maxWaitMs: 1000, throttle: undefined },
      eventBytesMax: 102_400,
      batchBytesMax: 0,
      async send(lines) {
        const answer = await link.run('audit', (redis) => {
          const batch = redis.pipeline();
          for (const line of lines)
            batch.xadd(auditStream, 'MAXLEN', '~', streamEntriesMax, '*', 'event', line);
          return batch.exec();
        });
        if (answer === undefined) throw new Error('Redis does not answer');
        const failed = answer?.find(([error]) => error !== null)?.[0];
        if (failed) throw failed;
      },
    },
    ports,
  );
}
