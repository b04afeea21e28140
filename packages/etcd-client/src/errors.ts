import { CodedError } from '@pilothouse/base';

/** gRPC status codes by name. */
export const grpcCode = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** Text with which etcd answers a read below the compacted revision; clients compare it. */
export const compactedText = 'etcdserver: mvcc: required revision has been compacted';
export const futureRevisionText = 'etcdserver: mvcc: required revision is a future revision';

/** What an etcd call ended with when it did not end well. `message` is the server's text, verbatim. */
export class EtcdError extends CodedError {
  readonly grpcStatus: number;
  /** True when the request certainly never reached a server, so that any request may be repeated. */
  readonly notSent: boolean;
  /** For a watch that fell behind a compaction: the first revision that can still be read. */
  readonly compactRevision: number | undefined;

  constructor(
    grpcStatus: number,
    message: string,
    options: { notSent?: boolean; compactRevision?: number; cause?: unknown } = {},
  ) {
    super(codeName(grpcStatus), message, options.cause === undefined ? {} : { cause: options.cause });
    this.grpcStatus = grpcStatus;
    this.notSent = options.notSent ?? false;
    this.compactRevision = options.compactRevision;
  }

  get isCompacted(): boolean {
    return this.message === compactedText;
  }

  get isFutureRevision(): boolean {
    return this.message === futureRevisionText;
  }

  get isUnavailable(): boolean {
    return this.grpcStatus === grpcCode.unavailable;
  }
}

function codeName(status: number): string {
  for (const [name, value] of Object.entries(grpcCode)) if (value === status) return name;
  return 'unknown';
}
