import type { Clock, Logger, Timer } from '@pilothouse/base';
import { decodeMessage, encodeMessage, etcdserverpb, type mvccpb } from '@pilothouse/proto';
import type { Balancer } from './balancer.ts';
import type { Connection, GrpcStream } from './connection.ts';
import { compactedText, EtcdError, grpcCode } from './errors.ts';
import { limits } from './limits.ts';

export interface WatchRequest {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
  /** First revision wanted; 0 or absent: what happens from now on. */
  readonly startRevision?: number;
  readonly prevKv?: boolean;
  readonly progressNotify?: boolean;
  readonly filters?: readonly number[];
}

/** All callbacks run in the order in which the server spoke. */
export interface WatchHandler {
  /** The server confirmed the watch (again after each reconnect); `revision` is the store's at that moment. */
  onCreated?(revision: number): void;
  /** Events of whole revisions, in order, each exactly once also across reconnects. */
  onEvents(events: readonly mvccpb.Event[], revision: number): void;
  /** Everything up to `revision` that this watch matches was delivered. */
  onProgress?(revision: number): void;
  /** The watch is over and will not be resumed: compacted, refused or the client was closed. */
  onEnd(error: EtcdError): void;
}

export interface Watch {
  cancel(): void;
}

interface Entry {
  readonly request: WatchRequest;
  readonly handler: WatchHandler;
  /** Where to go on after a reconnect; 0 until the first confirmation of a watch that starts now. */
  nextRevision: number;
  isCreated: boolean;
}

/** All watches of a client on one gRPC stream. After any break they are re-created from the revision after the last one seen. */
export class EtcdWatcher {
  readonly #balancer: Balancer;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<number, Entry>();
  #nextId = 1;
  #stream: GrpcStream | undefined;
  #connection: Connection | undefined;
  #isOpening = false;
  #isClosed = false;
  #failures = 0;
  #reopen: Timer | undefined;

  constructor(balancer: Balancer, clock: Clock, logger: Logger) {
    this.#balancer = balancer;
    this.#clock = clock;
    this.#logger = logger;
  }

  watch(request: WatchRequest, handler: WatchHandler): Watch {
    const id = this.#nextId++;
    const entry: Entry = { request, handler, nextRevision: request.startRevision ?? 0, isCreated: false };
    this.#entries.set(id, entry);
    if (this.#stream !== undefined) this.#sendCreate(id, entry);
    else this.#open();
    return {
      cancel: () => {
        if (!this.#entries.delete(id)) return;
        this.#send({ cancelRequest: { watchId: id } });
        if (this.#entries.size === 0) {
          this.#stream?.cancel();
          this.#stream = undefined;
        }
      },
    };
  }

  /** Asks the server to tell every watch of the stream how far it got; answered only when all of them are synced. */
  requestProgress(): void {
    this.#send({ progressRequest: {} });
  }

  close(): void {
    this.#isClosed = true;
    this.#reopen?.cancel();
    this.#stream?.cancel();
    this.#stream = undefined;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries)
      entry.handler.onEnd(new EtcdError(grpcCode.canceled, 'Etcd client is closed'));
  }

  #send(request: Parameters<typeof encodeMessage<etcdserverpb.WatchRequest>>[1]): void {
    this.#stream?.write(encodeMessage(etcdserverpb.WatchRequest, request));
  }

  #sendCreate(id: number, entry: Entry): void {
    const { request } = entry;
    entry.isCreated = false;
    this.#send({
      createRequest: {
        key: request.key,
        rangeEnd: request.rangeEnd,
        startRevision: entry.nextRevision,
        prevKv: request.prevKv,
        progressNotify: request.progressNotify,
        filters: request.filters,
        watchId: id,
      },
    });
  }

  #open(): void {
    if (this.#isOpening || this.#isClosed || this.#reopen !== undefined) return;
    this.#isOpening = true;
    void this.#connect().finally(() => {
      this.#isOpening = false;
    });
  }

  async #connect(): Promise<void> {
    try {
      const connection = this.#balancer.connection();
      if (!connection.isUp) await connection.ready();
      if (this.#isClosed || this.#entries.size === 0) return;
      const stream = connection.stream(
        etcdserverpb.WatchService.Watch.path,
        { ...this.#balancer.metadata, hasleader: 'true' },
        {
          onMessage: (message) => this.#receive(decodeMessage(etcdserverpb.WatchResponse, message)),
          onEnd: (error) => {
            if (this.#stream === stream) this.#broke(connection, error);
          },
        },
      );
      this.#stream = stream;
      this.#connection = connection;
      for (const [id, entry] of this.#entries) this.#sendCreate(id, entry);
    } catch (error) {
      this.#broke(this.#connection, error instanceof EtcdError ? error : undefined);
    }
  }

  #broke(connection: Connection | undefined, error: EtcdError | undefined): void {
    this.#stream = undefined;
    if (this.#isClosed || this.#entries.size === 0) return;
    if (connection !== undefined) this.#balancer.leave(connection);
    if (
      error !== undefined &&
      [grpcCode.permissionDenied, grpcCode.unauthenticated, grpcCode.unimplemented].some(
        (code) => code === error.grpcStatus,
      )
    ) {
      const entries = [...this.#entries.values()];
      this.#entries.clear();
      for (const entry of entries) entry.handler.onEnd(error);
      return;
    }
    this.#failures++;
    this.#logger.debug('Watch stream broke; resuming', {
      error: error?.message,
      watches: this.#entries.size,
    });
    const pauseMs =
      this.#failures === 1 ? 0 : Math.min(limits.watchReopenMaxMs, 10 * 2 ** Math.min(this.#failures, 10));
    this.#reopen = this.#clock.setTimeout(() => {
      this.#reopen = undefined;
      this.#open();
    }, pauseMs);
  }

  #receive(response: etcdserverpb.WatchResponse): void {
    this.#failures = 0;
    const revision = response.header?.revision ?? 0;
    if (response.watchId === -1 && !response.created && !response.canceled) {
      for (const entry of this.#entries.values()) this.#progress(entry, revision);
      return;
    }
    const entry = this.#entries.get(response.watchId);
    if (entry === undefined) return;
    if (response.created && !response.canceled) {
      entry.isCreated = true;
      // A watch from now on is pinned here, so that a reconnect resumes instead of starting anew.
      if (entry.nextRevision === 0) entry.nextRevision = revision + 1;
      entry.handler.onCreated?.(revision);
      return;
    }
    if (response.canceled) {
      this.#entries.delete(response.watchId);
      const compacted = response.compactRevision > 0;
      const text = compacted ? compactedText : response.cancelReason || 'etcdserver: watch canceled';
      entry.handler.onEnd(
        new EtcdError(compacted ? grpcCode.outOfRange : cancelStatus(text), text, {
          compactRevision: response.compactRevision,
        }),
      );
      return;
    }
    if (response.events.length === 0) {
      this.#progress(entry, revision);
      return;
    }
    const last = response.events[response.events.length - 1]?.kv?.modRevision ?? revision;
    entry.nextRevision = Math.max(entry.nextRevision, last + 1);
    entry.handler.onEvents(response.events, revision);
  }

  #progress(entry: Entry, revision: number): void {
    if (!entry.isCreated || revision + 1 < entry.nextRevision) return;
    entry.nextRevision = revision + 1;
    entry.handler.onProgress?.(revision);
  }
}

function cancelStatus(text: string): number {
  const match = /code = (\w+)/.exec(text);
  if (match?.[1] === 'PermissionDenied') return grpcCode.permissionDenied;
  return grpcCode.canceled;
}
