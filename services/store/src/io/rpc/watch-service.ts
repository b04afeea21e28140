import { encodeMessage, etcdserverpb } from '@pilothouse/proto';
import { errorMessage } from '@pilothouse/base';
import { grpcStatus, StoreError, type WatchMessage } from '../../core/index.ts';
import { grpcCodeNames } from '../metrics.ts';
import { compactedCancelReason } from './watch-texts.ts';
import type { BidiCall, GrpcServer } from './grpc-server.ts';
import type { StoreService } from './store-service.ts';

type WatchCall = BidiCall<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

const { WatchCreateRequest_FilterType: FilterType } = etcdserverpb;

/** Registers etcdserverpb.Watch. Returns what cuts the streams of clients that require a leader. */
export function registerWatch(
  server: GrpcServer,
  service: StoreService,
): { cutLeaderless(): void; cutAll(error: StoreError): void } {
  const open = new Set<WatchCall>();
  const heads = new EncodedHeads(service);
  server.bidi(etcdserverpb.WatchService.Watch, (call) => {
    open.add(call);
    call.onClose(() => open.delete(call));
    serveWatch(service, call, heads);
  });
  return {
    cutLeaderless() {
      for (const call of [...open])
        if (call.headers['hasleader'] === 'true') call.end(new StoreError('noLeader'));
    },
    cutAll(error) {
      for (const call of [...open]) call.end(error);
    },
  };
}

/** The header of answers, encoded: all watches that are told of a revision in one turn have the same. */
class EncodedHeads {
  readonly #service: StoreService;
  #revision: number | undefined;
  #encoded: Uint8Array = new Uint8Array(0);

  constructor(service: StoreService) {
    this.#service = service;
  }

  of(revision: number): Uint8Array {
    if (revision === this.#revision) return this.#encoded;
    if (this.#revision === undefined) queueMicrotask(() => (this.#revision = undefined));
    this.#revision = revision;
    this.#encoded = encodeMessage(etcdserverpb.WatchResponse, { header: this.#service.header(revision) });
    return this.#encoded;
  }
}

/** Clients count their watches from a small number on. */
const encodedIds: Uint8Array[] = [];
const encodedIdsMax = 4096;

/** The field of an answer that names the watch. */
function encodedId(watchId: number): Uint8Array {
  const known = encodedIds[watchId];
  if (known !== undefined) return known;
  const encoded = encodeMessage(etcdserverpb.WatchResponse, { watchId });
  if (watchId >= 0 && watchId < encodedIdsMax) encodedIds[watchId] = encoded;
  return encoded;
}

function serveWatch(service: StoreService, call: WatchCall, heads: EncodedHeads): void {
  const { machine, options } = service;
  const fragmented = new Set<number>();
  let nextId = 0;
  const stream = machine.watchable.stream({
    send(message: WatchMessage) {
      switch (message.kind) {
        case 'progress':
          return call.write({ header: service.header(message.revision), watchId: message.watchId });
        case 'compacted':
          // Upstream leaves the revision out here, and clients read compact_revision only.
          return call.write({
            header: service.header(0),
            watchId: message.watchId,
            canceled: true,
            compactRevision: message.compactRevision,
          });
        case 'events': {
          if (!fragmented.has(message.watchId)) {
            if (call.writeParts !== undefined) {
              return call.writeParts([
                heads.of(message.revision),
                encodedId(message.watchId),
                message.batch.encoded,
              ]);
            }
            const header = service.header(message.revision);
            return call.write({ header, watchId: message.watchId, events: message.events });
          }
          const header = service.header(message.revision);
          const pieces = fragment(message.events, options.maxRequestBytes);
          let hasRoom = true;
          pieces.forEach((events, index) => {
            hasRoom = call.write({
              header,
              watchId: message.watchId,
              events,
              fragment: index < pieces.length - 1,
            });
          });
          return hasRoom;
        }
      }
    },
  });
  call.onDrain(() => stream.drained());
  call.onClose(() => stream.close());
  call.onHalfClose(() => call.end());
  const refuse = (reason: string): void => {
    call.write({
      header: service.header(),
      watchId: -1,
      created: true,
      canceled: true,
      cancelReason: reason,
    });
  };
  call.onMessage((request) => {
    if (request.createRequest) {
      const create = request.createRequest;
      const key = create.key.length === 0 ? Uint8Array.of(0) : create.key.slice();
      const { rangeEnd } = create;
      const endsEverywhere = rangeEnd.length === 1 && rangeEnd[0] === 0;
      if (rangeEnd.length > 0 && !endsEverywhere && Buffer.compare(key, rangeEnd) >= 0) {
        refuse('mvcc: watcher range is empty');
        return;
      }
      if (create.startRevision < 0) {
        refuse(compactedCancelReason);
        return;
      }
      try {
        machine.auth.checkRange(service.authInfo(call), key, rangeEnd, 'read');
      } catch (error) {
        const status = error instanceof StoreError ? error.grpcStatus : grpcStatus.permissionDenied;
        refuse(`rpc error: code = ${grpcCodeNames[status] ?? 'Unknown'} desc = ${errorMessage(error)}`);
        return;
      }
      let id = create.watchId;
      if (id === 0) {
        while (stream.has(nextId)) nextId++;
        id = nextId++;
      } else if (stream.has(id)) {
        refuse('mvcc: duplicate watch ID provided on the WatchStream');
        return;
      }
      if (create.fragment) fragmented.add(id);
      call.write({ header: service.header(), watchId: id, created: true });
      stream.watch(id, {
        key,
        rangeEnd: rangeEnd.slice(),
        startRevision: create.startRevision,
        prevKv: create.prevKv,
        progressNotify: create.progressNotify,
        noPut: create.filters.includes(FilterType.NOPUT),
        noDelete: create.filters.includes(FilterType.NODELETE),
      });
    } else if (request.cancelRequest) {
      const id = request.cancelRequest.watchId;
      if (!stream.cancel(id)) return;
      fragmented.delete(id);
      call.write({ header: service.header(), watchId: id, canceled: true });
    } else if (request.progressRequest) stream.requestProgress();
  });
}

/** Cuts events into pieces below `bytesMax`; an event alone may exceed it. */
function fragment(events: readonly Uint8Array[], bytesMax: number): Uint8Array[][] {
  const pieces: Uint8Array[][] = [[]];
  let size = 0;
  for (const event of events) {
    const last = pieces.at(-1) as Uint8Array[];
    if (last.length > 0 && size + event.length >= bytesMax) {
      pieces.push([event]);
      size = event.length;
    } else {
      last.push(event);
      size += event.length;
    }
  }
  return pieces;
}
