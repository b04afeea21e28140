/** What a span may carry. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** Which side of a call a span describes. */
export type SpanKind = 'internal' | 'server' | 'client';

/** A piece of work in a trace that is recorded. `end` exports it; nothing may be set afterwards. */
export interface Span {
  /** For the next server: the header of W3C Trace Context. */
  readonly traceparent: string;
  child(name: string, kind?: SpanKind, attributes?: SpanAttributes): Span;
  set(name: string, value: string | number | boolean): void;
  fail(message: string): void;
  end(): void;
}

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Wall time, milliseconds since the epoch; default: now. */
  readonly startMs?: number;
  readonly attributes?: SpanAttributes;
  /** The caller's header: the span belongs to its trace, and is recorded when the caller's is. */
  readonly parent?: string;
  /** The caller's header where the caller is not trusted to decide: the span begins a trace of its own that tells of the other. */
  readonly link?: string;
}

/** Begins traces. Undefined: this one is not recorded, and nothing need be done for it. */
export interface Tracer {
  start(name: string, options?: SpanOptions): Span | undefined;
}
