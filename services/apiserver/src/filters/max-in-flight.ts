import { statusErrors } from '@pilothouse/apimachinery';
import { privilegedGroup } from '../authentication/interface.ts';
import { limits } from '../limits.ts';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { CacheView } from '../registry/rest/rest-storage.ts';
import { matchFlowSchema } from './flow-schema.ts';
import type { Filter } from './filter.ts';

export interface FlowOptions {
  /** Reads in flight; 0 means no limit. */
  readonly maxReadOnly: number;
  /** Writes in flight; 0 means no limit. */
  readonly maxMutating: number;
  /** Views of flow schemas and priority levels, when the server has them. */
  flowSchemas(): CacheView | undefined;
  priorityLevels(): CacheView | undefined;
}

const readOnlyVerbs = new Set(['get', 'list', 'watch']);

/**
 * Bounds the requests in flight, reads and writes apart; beyond it a client gets 429 with Retry-After. Long-running requests and
 * cluster administrators are not counted. The answer names the flow schema and priority level of the request, as clients log them.
 */
export function maxInFlightFilter(options: FlowOptions, metrics: ServerMetrics): Filter {
  const inFlight = { readOnly: 0, mutating: 0 };
  return (exchange) => {
    const schema = matchFlowSchema(options.flowSchemas()?.list() ?? [], exchange.user, exchange.info);
    const schemaName = schema?.metadata.name ?? 'none';
    const levelName = (schema?.['spec']?.priorityLevelConfiguration?.name as string | undefined) ?? 'none';
    if (schema) {
      exchange.response.setHeader('X-Kubernetes-Pf-Flowschema-Uid', schema.metadata.uid ?? '');
      const level = options.priorityLevels()?.get('', levelName);
      exchange.response.setHeader('X-Kubernetes-Pf-Prioritylevel-Uid', level?.metadata.uid ?? '');
    }
    if (exchange.longRunning || exchange.user.groups.includes(privilegedGroup) || levelName === 'exempt')
      return;
    const isRead = exchange.info.isResourceRequest
      ? readOnlyVerbs.has(exchange.info.verb)
      : exchange.method === 'GET' || exchange.method === 'HEAD';
    const key = isRead ? 'readOnly' : 'mutating';
    const max = isRead ? options.maxReadOnly : options.maxMutating;
    if (max > 0 && inFlight[key] >= max) {
      metrics.rejected.inc({
        flow_schema: schemaName,
        priority_level: levelName,
        reason: 'concurrency-limit',
      });
      throw statusErrors.tooManyRequests(
        'too many requests, please try again later',
        limits.retryAfterSeconds,
      );
    }
    inFlight[key]++;
    metrics.inFlight.set({ request_kind: key }, inFlight[key]);
    metrics.dispatched.inc({ flow_schema: schemaName, priority_level: levelName });
    metrics.executing.inc({ flow_schema: schemaName, priority_level: levelName });
    exchange.response.once('close', () => {
      inFlight[key]--;
      metrics.inFlight.set({ request_kind: key }, inFlight[key]);
      metrics.executing.dec({ flow_schema: schemaName, priority_level: levelName });
    });
  };
}
