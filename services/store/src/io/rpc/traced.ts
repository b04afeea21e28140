import type { Span, Tracer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { UnaryHandler } from './call.ts';

/** The handler, each call a span of its caller's trace, or of one of its own. */
export function traced<Req, Res>(
  tracer: Tracer,
  name: string,
  handler: UnaryHandler<Req, Res>,
): UnaryHandler<Req, Res> {
  return (request, call) => {
    const { traceparent } = call.headers;
    const span = tracer.start(name, {
      kind: 'server',
      ...(typeof traceparent === 'string' ? { parent: traceparent } : {}),
    });
    if (span === undefined) return handler(request, call);
    call.span = span;
    return within(span, () => handler(request, call));
  };
}

/** The span lasts as long as the action, and fails with it. */
export function within<T>(span: Span, action: () => Promise<T>): Promise<T>;
export function within<T>(span: Span, action: () => T | Promise<T>): T | Promise<T>;
export function within<T>(span: Span, action: () => T | Promise<T>): T | Promise<T> {
  const failed = (error: unknown): never => {
    span.fail(errorMessage(error));
    span.end();
    throw error;
  };
  try {
    const result = action();
    if (!(result instanceof Promise)) {
      span.end();
      return result;
    }
    return result.then((value: T) => {
      span.end();
      return value;
    }, failed);
  } catch (error) {
    return failed(error);
  }
}
