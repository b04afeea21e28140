import { Server, ServerCredentials } from '@grpc/grpc-js';

const bytes = (value: Buffer): Buffer => value;
const exportTraces = {
  path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
} as const;

/** A span as it was exported, as far as tests look. */
export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  /** Hexadecimal; the parent is empty for the first of a trace. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
}

/** A collector of spans (OTLP over gRPC on a free port of localhost) that keeps what it gets. */
export class OtlpCollector {
  readonly #server = new Server();
  /** Undecoded requests. */
  readonly received: Buffer[] = [];
  port = 0;

  async start(): Promise<void> {
    this.#server.addService(
      { export: exportTraces },
      {
        export: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => {
          this.received.push(call.request);
          done(null, Buffer.alloc(0));
        },
      },
    );
    this.port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
  }

  get spans(): CollectedSpan[] {
    return this.received.flatMap((request) => fields(request, 1).flatMap(resourceSpans));
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

/** ResourceSpans: 1 resource { 1 attributes }, 2 scope_spans { 2 spans }. */
function resourceSpans(message: Buffer): CollectedSpan[] {
  const attributes = fields(message, 1).flatMap((resource) => fields(resource, 1));
  const named = attributes.find((each) => fields(each, 1)[0]?.toString() === 'service.name');
  const service = named === undefined ? '' : (fields(fields(named, 2)[0] as Buffer, 1)[0]?.toString() ?? '');
  return fields(message, 2)
    .flatMap((scope) => fields(scope, 2))
    .map((span) => {
      const hex = (number: number): string => fields(span, number)[0]?.toString('hex') ?? '';
      return {
        service,
        traceId: hex(1),
        spanId: hex(2),
        parentId: hex(4),
        name: fields(span, 5)[0]?.toString() ?? '',
      };
    });
}

/** The values of a length-delimited field of a protobuf message. */
function fields(message: Buffer, wanted: number): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else {
      const length = varint();
      if (tag >> 3 === wanted) found.push(message.subarray(at, at + length));
      at += length;
    }
  }
  return found;
}
