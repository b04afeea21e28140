import { CodedError } from '@pilothouse/base';
import type { FieldError } from './field-error.ts';
import { goQuote } from './field-error.ts';
import type { GroupResource } from './meta.ts';
import { groupKindString, groupResourceString } from './meta.ts';

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** meta/v1 Status, in its JSON shape. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, unknown>;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

/** An error that a client gets as a Status. The constructors below give upstream's code, reason and message. */
export class StatusError extends CodedError {
  readonly status: Status;
  constructor(httpCode: number, reason: string, message: string, details?: StatusDetails) {
    super(reason, message);
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code: httpCode,
    };
  }
  get httpCode(): number {
    return this.status.code ?? 500;
  }
  get reason(): string {
    return this.status.reason ?? '';
  }
}

const detailsOf = (resource: GroupResource, name: string): StatusDetails => ({
  ...(name === '' ? {} : { name }),
  ...(resource.group === '' ? {} : { group: resource.group }),
  ...(resource.resource === '' ? {} : { kind: resource.resource }),
});

/** Upstream's errors (apimachinery/pkg/api/errors), by constructor. */
export const statusErrors = {
  notFound: (resource: GroupResource, name: string): StatusError =>
    new StatusError(
      404,
      'NotFound',
      `${groupResourceString(resource)} ${goQuote(name)} not found`,
      detailsOf(resource, name),
    ),
  alreadyExists: (resource: GroupResource, name: string): StatusError =>
    new StatusError(
      409,
      'AlreadyExists',
      `${groupResourceString(resource)} ${goQuote(name)} already exists`,
      detailsOf(resource, name),
    ),
  conflict: (resource: GroupResource, name: string, cause: string): StatusError =>
    new StatusError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${groupResourceString(resource)} ${goQuote(name)}: ${cause}`,
      detailsOf(resource, name),
    ),
  /** Server-side apply conflicts; one cause per field, reason FieldManagerConflict. */
  applyConflict: (causes: StatusCause[], message: string): StatusError =>
    new StatusError(409, 'Conflict', message, { causes }),
  forbidden: (resource: GroupResource, name: string, cause: string): StatusError => {
    const what = groupResourceString(resource);
    const message =
      resource.resource === ''
        ? `forbidden: ${cause}`
        : name === ''
          ? `${what} is forbidden: ${cause}`
          : `${what} ${goQuote(name)} is forbidden: ${cause}`;
    return new StatusError(403, 'Forbidden', message, detailsOf(resource, name));
  },
  unauthorized: (message = 'Unauthorized'): StatusError => new StatusError(401, 'Unauthorized', message),
  /** `kind` is [group, Kind]; each field error becomes a cause. */
  invalid: (
    kind: { group: string; kind: string },
    name: string,
    errors: readonly FieldError[],
  ): StatusError => {
    const texts: string[] = [];
    for (const error of errors) {
      const text = `${error.field}: ${error.message}`;
      if (!texts.includes(text)) texts.push(text);
    }
    const joined = texts.length === 1 ? (texts[0] as string) : `[${texts.join(', ')}]`;
    return new StatusError(
      422,
      'Invalid',
      `${groupKindString(kind)} ${goQuote(name)} is invalid${texts.length === 0 ? '' : `: ${joined}`}`,
      {
        ...(name === '' ? {} : { name }),
        ...(kind.group === '' ? {} : { group: kind.group }),
        ...(kind.kind === '' ? {} : { kind: kind.kind }),
        causes: errors.map((error) => ({ reason: error.type, message: error.message, field: error.field })),
      },
    );
  },
  badRequest: (message: string): StatusError => new StatusError(400, 'BadRequest', message),
  methodNotSupported: (resource: GroupResource, action: string): StatusError =>
    new StatusError(
      405,
      'MethodNotAllowed',
      `${action} is not supported on resources of kind ${goQuote(groupResourceString(resource))}`,
      detailsOf(resource, ''),
    ),
  /** The path names nothing that is served. */
  genericNotFound: (): StatusError =>
    new StatusError(404, 'NotFound', 'the server could not find the requested resource', {}),
  gone: (message: string): StatusError => new StatusError(410, 'Gone', message),
  expired: (message: string): StatusError => new StatusError(410, 'Expired', message),
  timeout: (message: string, retryAfterSeconds = 0): StatusError =>
    new StatusError(
      504,
      'Timeout',
      `Timeout: ${message}`,
      retryAfterSeconds === 0 ? {} : { retryAfterSeconds },
    ),
  serverTimeout: (resource: GroupResource, operation: string, retryAfterSeconds: number): StatusError =>
    new StatusError(
      500,
      'ServerTimeout',
      `The ${operation} operation against ${groupResourceString(resource)} could not be completed at this time, please try again.`,
      { ...detailsOf(resource, operation), ...(retryAfterSeconds === 0 ? {} : { retryAfterSeconds }) },
    ),
  tooManyRequests: (message: string, retryAfterSeconds: number): StatusError =>
    new StatusError(429, 'TooManyRequests', message, retryAfterSeconds === 0 ? {} : { retryAfterSeconds }),
  tooLargeResourceVersion: (minimum: string, current: string, retryAfterSeconds: number): StatusError =>
    new StatusError(504, 'Timeout', `Timeout: Too large resource version: ${minimum}, current: ${current}`, {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      ...(retryAfterSeconds === 0 ? {} : { retryAfterSeconds }),
    }),
  requestEntityTooLarge: (message: string): StatusError =>
    new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: ${message}`),
  unsupportedMediaType: (message: string): StatusError =>
    new StatusError(415, 'UnsupportedMediaType', message),
  notAcceptable: (message: string): StatusError => new StatusError(406, 'NotAcceptable', message),
  serviceUnavailable: (message: string): StatusError => new StatusError(503, 'ServiceUnavailable', message),
  internal: (cause: string): StatusError =>
    new StatusError(500, 'InternalError', `Internal error occurred: ${cause}`, {
      causes: [{ message: cause }],
    }),
};

/** True when `error` is a StatusError with this reason. */
export function hasReason(error: unknown, reason: string): boolean {
  return error instanceof StatusError && error.reason === reason;
}
