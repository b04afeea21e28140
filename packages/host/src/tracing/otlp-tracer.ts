import type * as api from '@opentelemetry/api';
import type * as sdk from '@opentelemetry/sdk-trace';
import type { Span, SpanAttributes, SpanKind, SpanOptions, Tracer } from '@pilothouse/base';

export interface OtlpTracerOptions {
  /** See {@link otlpEndpoint}. */
  readonly endpoint: string;
  /** Of the traces that begin here, so many of a million are recorded; those of a caller are recorded when the caller's are. */
  readonly samplingRatePerMillion: number;
  /** `service.name` of the resource. */
  readonly serviceName: string;
  /** `service.instance.id` of the resource. */
  readonly instanceId: string;
}

export interface OtlpTracer extends Tracer {
  /** Sends what waits; takes two seconds at most. */
  close(): Promise<void>;
}

const flushMs = 2000;
const scheduledDelayMs = 1000;

/**
 * Records traces with the OpenTelemetry SDK and sends them by OTLP over gRPC, in batches and in the background: a collector that is away
 * costs spans, never a request. The SDK is loaded here, so that processes without tracing do not carry it.
 */
export async function createOtlpTracer(options: OtlpTracerOptions): Promise<OtlpTracer> {
  const [opentelemetry, trace, { resourceFromAttributes }, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-grpc'),
  ]);
  const { credentials } = await import('@grpc/grpc-js');
  const processor = new trace.BatchSpanProcessor({
    exporter: new OTLPTraceExporter({ url: options.endpoint, credentials: credentials.createInsecure() }),
    scheduledDelayMillis: scheduledDelayMs,
  });
  const provider = new trace.TracerProvider({
    resource: resourceFromAttributes({
      'service.name': options.serviceName,
      'service.instance.id': options.instanceId,
    }),
    sampler: samplerOf(trace, options.samplingRatePerMillion),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('pilothouse');
  return {
    start(name, { kind = 'internal', startMs, attributes = {}, parent, link }: SpanOptions = {}) {
      const { ROOT_CONTEXT, trace: traces } = opentelemetry;
      const above = parent === undefined ? undefined : contextOf(parent);
      const linked = link === undefined ? undefined : contextOf(link);
      const span = tracer.startSpan(
        name,
        {
          kind: kindOf(kind),
          attributes,
          ...(startMs === undefined ? {} : { startTime: startMs }),
          ...(linked === undefined ? {} : { links: [{ context: linked }] }),
        },
        above === undefined ? ROOT_CONTEXT : traces.setSpanContext(ROOT_CONTEXT, above),
      );
      return span.isRecording() ? new OtlpSpan(opentelemetry, tracer, span) : undefined;
    },
    async close() {
      await Promise.race([provider.shutdown().catch(() => undefined), after(flushMs)]);
    },
  };
}

function samplerOf(trace: typeof sdk, ratePerMillion: number): sdk.Sampler {
  return new trace.ParentBasedSampler({ root: new trace.TraceIdRatioBasedSampler(ratePerMillion / 1e6) });
}

function after(ms: number): Promise<void> {
  // The SDK has timers of its own as well; this one ends with the process.
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** The numbers of SpanKind, an enum of the lazily loaded API. */
const kinds: Readonly<Record<SpanKind, number>> = { internal: 0, server: 1, client: 2 };
const kindOf = (kind: SpanKind): api.SpanKind => kinds[kind];

/** Reads a `traceparent` of version 00; undefined when it is malformed, as the specification asks. */
function contextOf(traceparent: string): api.SpanContext | undefined {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent);
  if (match === null) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = match;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

class OtlpSpan implements Span {
  readonly #api: typeof api;
  readonly #tracer: api.Tracer;
  readonly #span: api.Span;

  constructor(opentelemetry: typeof api, tracer: api.Tracer, span: api.Span) {
    this.#api = opentelemetry;
    this.#tracer = tracer;
    this.#span = span;
  }

  get traceparent(): string {
    const { traceId, spanId } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-01`;
  }

  child(name: string, kind: SpanKind = 'internal', attributes: SpanAttributes = {}): Span {
    const context = this.#api.trace.setSpan(this.#api.ROOT_CONTEXT, this.#span);
    const span = this.#tracer.startSpan(name, { kind: kindOf(kind), attributes }, context);
    return new OtlpSpan(this.#api, this.#tracer, span);
  }

  set(name: string, value: string | number | boolean): void {
    this.#span.setAttribute(name, value);
  }

  fail(message: string): void {
    this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message });
  }

  end(): void {
    this.#span.end();
  }
}
