import type { Tracer } from '@pilothouse/base';
import type { Exchange } from '../request/exchange.ts';
import type { RequestInfo } from '../request/request-info.ts';
import type { Filter } from './filter.ts';

/** Whose callers decide what is recorded; of others it would be a way to make this server work. */
const trustedGroups: ReadonlySet<string> = new Set(['system:masters', 'system:monitoring']);

/** Begins the span of a request, after authentication; it ends with the answer. Names and attributes are upstream's. */
export function tracingFilter(tracer: Tracer): Filter {
  return (exchange) => {
    const traceparent = exchange.header('traceparent');
    const isTrusted = exchange.user.groups.some((group) => trustedGroups.has(group));
    const span = tracer.start(spanName(exchange.method, exchange.info), {
      kind: 'server',
      startMs: exchange.receivedMs,
      ...(traceparent === '' ? {} : isTrusted ? { parent: traceparent } : { link: traceparent }),
    });
    if (span === undefined) return;
    exchange.span = span;
    span.set('http.method', exchange.method);
    span.set('http.target', exchange.request.url ?? '/');
    span.set('http.user_agent', exchange.userAgent);
    span.set('audit-id', exchange.auditId);
    exchange.onClose(() => finish(exchange));
  };
}

function finish(exchange: Exchange): void {
  const { span, response } = exchange;
  if (span === undefined) return;
  span.set('http.status_code', response.statusCode);
  if (response.statusCode >= 500) span.fail('');
  span.end();
}

/** `GET /api/v1/namespaces/{:namespace}/pods/{:name}/log`; the method alone where no resource is asked for. */
function spanName(method: string, info: RequestInfo): string {
  if (!info.isResourceRequest) return method;
  const parts = [
    '',
    info.apiPrefix,
    ...(info.apiGroup === '' ? [] : [info.apiGroup]),
    info.apiVersion,
    ...(info.namespace === '' ? [] : ['namespaces', '{:namespace}']),
    info.resource,
    ...(info.name === '' ? [] : ['{:name}']),
    ...(info.subresource === '' ? [] : [info.subresource]),
  ];
  return `${method} ${parts.join('/')}`;
}
