import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Span } from '@pilothouse/base';
import type { AuditContext } from '../audit/audit-context.ts';
import type { UserInfo } from '../authentication/interface.ts';
import { parseQuery } from './query.ts';
import type { RequestInfo } from './request-info.ts';
import { isLongRunning, requestInfoOf } from './request-info.ts';

/** The two ends of a connection that leaves HTTP (WebSocket, SPDY). */
export interface UpgradeEnds {
  readonly socket: Duplex;
  /** Bytes that came after the request's headers. */
  readonly head: Buffer;
}

/**
 * One request on its way through the filters to a handler. HTTP/2 requests have the compatible shape of HTTP/1.1 ones.
 * Each field is set by the filter named at it.
 */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly upgrade: UpgradeEnds | undefined;
  readonly method: string;
  /** Percent-decoded path. */
  readonly path: string;
  /** As sent, without the query. */
  readonly rawPath: string;
  readonly query: URLSearchParams;
  readonly info: RequestInfo;
  readonly longRunning: boolean;
  /** Milliseconds of the monotonic clock at arrival. */
  readonly startedMs: number;
  /** Wall time at arrival, milliseconds since the epoch. */
  readonly receivedMs: number;
  readonly userAgent: string;
  readonly warnings: string[] = [];
  readonly auditAnnotations: Record<string, string> = {};
  /** Made when somebody asks for the signal: most requests never do. */
  #controller: AbortController | undefined;
  #abortReason: unknown;
  #isAborted = false;
  #onAbort: (((reason: unknown) => void) | undefined)[] | undefined;
  #onClose: (() => void)[] | undefined = [];
  #onStarted: (() => void) | undefined;
  /** Filter audit; undefined: nothing is written of this request. */
  audit: AuditContext | undefined;
  /** Filter audit-id. */
  auditId = '';
  /** Filter deadline: wall time; infinite for long-running requests. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** Filter authentication, replaced by impersonation. */
  user: UserInfo = { name: '', groups: [] };
  /** Filter tracing; undefined: nothing of this request is recorded. */
  span: Span | undefined;
  /** Filter flow control: where the request is classified; empty without priority and fairness. */
  priorityLevel = '';
  /** Filter impersonation: who asked to be {@link user}. */
  impersonator: UserInfo | undefined;
  /** The verb of constrained impersonation that allowed it. */
  impersonationConstraint = '';
  /** Set by handlers for metrics: the value of dryRun. */
  dryRun = '';

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    times: { startedMs: number; receivedMs: number },
    upgrade?: UpgradeEnds,
  ) {
    this.request = request;
    this.response = response;
    this.upgrade = upgrade;
    this.startedMs = times.startedMs;
    this.receivedMs = times.receivedMs;
    this.method = request.method ?? 'GET';
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    this.rawPath = mark < 0 ? url : url.slice(0, mark);
    this.path = decodePath(this.rawPath);
    this.query = mark < 0 ? noQuery : parseQuery(url.slice(mark + 1));
    this.info = requestInfoOf(this.method, this.path, this.query);
    this.longRunning = isLongRunning(this.info);
    this.userAgent = header(request, 'user-agent');
  }

  /** Aborted when the client goes away or the deadline passes. {@link onAbort} costs less. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  get isAborted(): boolean {
    return this.#isAborted;
  }

  get abortReason(): unknown {
    return this.#abortReason;
  }

  abort(reason: unknown): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
    const callbacks = this.#onAbort;
    this.#onAbort = undefined;
    for (const callback of callbacks ?? []) callback?.(reason);
  }

  /** Calls back once when the exchange is aborted; at once when it is already. The returned function takes that back. */
  onAbort(callback: (reason: unknown) => void): () => void {
    if (this.#isAborted) {
      callback(this.#abortReason);
      return noop;
    }
    const callbacks = (this.#onAbort ??= []);
    const at = callbacks.push(callback) - 1;
    return () => void (callbacks[at] = undefined);
  }

  /** Calls back once when the exchange is over, answered or not, in the order of the calls; at once when it is over. */
  onClose(callback: () => void): void {
    if (this.#onClose === undefined) callback();
    else this.#onClose.push(callback);
  }

  /** Calls back when a watch has found what it begins with. One callback is kept. */
  onStarted(callback: () => void): void {
    this.#onStarted = callback;
  }

  /** For the handler of watches. */
  started(): void {
    const callback = this.#onStarted;
    this.#onStarted = undefined;
    callback?.();
  }

  /** For the pipeline: the exchange is over. */
  closed(): void {
    const callbacks = this.#onClose ?? [];
    this.#onClose = undefined;
    for (const callback of callbacks) callback();
  }

  /** A header's value; several are joined as RFC 9110 allows; empty when absent. */
  header(name: string): string {
    return header(this.request, name);
  }

  addWarning(text: string): void {
    if (text !== '' && !this.warnings.includes(text)) this.warnings.push(text);
  }
}

/** Shared by all requests without a query; nobody changes it. */
const noQuery = new URLSearchParams();
const noop = (): void => undefined;

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return value === undefined ? '' : Array.isArray(value) ? value.join(', ') : value;
}

function decodePath(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
