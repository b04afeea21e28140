import {
  decodeMessage,
  encodeMessage,
  etcdserverpb,
  type MessageCodec,
  type MessageInput,
  type MethodInfo,
  type mvccpb,
} from '@pilothouse/proto';
import { grpcStatus, StoreError } from '../../core/index.ts';
import { GrpcError, type BidiCall, type Call, type GrpcServer } from './grpc-server.ts';

const { KVService, LeaseService, WatchService, Compare_CompareTarget: Target } = etcdserverpb;

/** Seconds of the lease that is made for a caller who brings none. */
const sessionTtlSeconds = 60;

/** The key of one contender: the name, a slash and the lease in hex, so that the lease's end removes it. */
export interface Contender {
  readonly prefix: Uint8Array;
  readonly key: Uint8Array;
  readonly lease: bigint;
}

/**
 * Locks and elections as clients build them from keys, leases and watches, run inside the server on behalf of `call`: the
 * same permissions, limits and errors apply as if the caller had sent each request.
 */
export class Concurrency {
  readonly #server: GrpcServer;
  readonly #call: Call;

  constructor(server: GrpcServer, call: Call) {
    this.#server = server;
    this.#call = call;
  }

  txn(request: MessageInput<etcdserverpb.TxnRequest>): Promise<etcdserverpb.TxnResponse> {
    return this.#unary(KVService.Txn, request);
  }

  range(request: MessageInput<etcdserverpb.RangeRequest>): Promise<etcdserverpb.RangeResponse> {
    return this.#unary(KVService.Range, request);
  }

  delete(key: Uint8Array): Promise<etcdserverpb.DeleteRangeResponse> {
    return this.#unary(KVService.DeleteRange, { key });
  }

  // Handlers take and give partial messages; both ways through the wire form gives them whole.
  async #unary<Req, Res>(method: MethodInfo<Req, Res>, request: MessageInput<Req>): Promise<Res> {
    try {
      const reply = await this.#server.callUnary(method, whole(method.request, request), this.#call);
      return whole(method.response, reply);
    } catch (error) {
      // What goes wrong inside these services reaches clients of etcd with its text, but always as Unknown.
      throw error instanceof StoreError ? new GrpcError(grpcStatus.unknown, error.message) : error;
    }
  }

  /** Where the caller stands in line under `name`; a lease is made when `lease` is 0. */
  async contender(name: Uint8Array, lease: bigint): Promise<Contender> {
    const id =
      lease !== 0n ? lease : (await this.#unary(LeaseService.LeaseGrant, { TTL: sessionTtlSeconds })).ID;
    const prefix = Buffer.concat([name, Buffer.from('/')]);
    const key = Buffer.concat([prefix, Buffer.from(BigInt.asUintN(64, id).toString(16))]);
    return { prefix, key, lease: id };
  }

  /** Puts the contender's key unless it is there. Gives the key as it stands afterwards and whether it was made now. */
  async enter(
    { key, lease }: Contender,
    value: Uint8Array,
  ): Promise<{ readonly kv: mvccpb.KeyValue; readonly isNew: boolean }> {
    const { succeeded, header, responses } = await this.txn({
      compare: [{ key, target: Target.CREATE, createRevision: 0 }],
      success: [{ requestPut: { key, value, lease } }],
      failure: [{ requestRange: { key } }],
    });
    const revision = header?.revision ?? 0;
    const found = responses[0]?.responseRange?.kvs[0];
    if (!succeeded && found !== undefined) return { kv: found, isNew: false };
    return {
      kv: { key, value, lease, createRevision: revision, modRevision: revision, version: 1 },
      isNew: true,
    };
  }

  /** Resolves when every key under `prefix` that was created before `createRevision` is gone. Rejects when the caller left. */
  async waitForFirst(prefix: Uint8Array, createRevision: number): Promise<void> {
    for (;;) {
      const { kvs, header } = await this.range({
        key: prefix,
        rangeEnd: prefixEnd(prefix),
        sortOrder: etcdserverpb.RangeRequest_SortOrder.DESCEND,
        sortTarget: etcdserverpb.RangeRequest_SortTarget.CREATE,
        maxCreateRevision: createRevision - 1,
        limit: 1,
      });
      const [before] = kvs;
      if (before === undefined) return;
      await this.#untilDeleted(before.key, (header?.revision ?? 0) + 1);
    }
  }

  async #untilDeleted(key: Uint8Array, startRevision: number): Promise<void> {
    await this.watch(
      { key, startRevision, filters: [etcdserverpb.WatchCreateRequest_FilterType.NOPUT] },
      () => true,
    );
  }

  /** Gives each event to `onEvent` until that returns true. Rejects when the caller left or the watch failed. */
  watch(
    create: MessageInput<etcdserverpb.WatchCreateRequest>,
    onEvent: (event: mvccpb.Event) => boolean,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let isEnded = false;
      const closeListeners: (() => void)[] = [];
      const finish = (settle: () => void): void => {
        if (isEnded) return;
        isEnded = true;
        for (const listener of closeListeners) listener();
        settle();
      };
      let onMessage: (message: etcdserverpb.WatchRequest) => void = () => {};
      const caller = this.#call;
      const call: BidiCall<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse> = {
        headers: caller.headers,
        commonName: caller.commonName,
        get isCancelled() {
          return isEnded;
        },
        write(message) {
          const { events, canceled, cancelReason } = whole<etcdserverpb.WatchResponse>(
            etcdserverpb.WatchResponse,
            message,
          );
          if (canceled) {
            finish(() =>
              reject(
                cancelReason ? new GrpcError(grpcStatus.unknown, cancelReason) : new StoreError('compacted'),
              ),
            );
          } else if (events.some(onEvent)) finish(resolve);
          return true;
        },
        onDrain: () => {},
        onClose: (listener) => void closeListeners.push(listener),
        onMessage: (listener) => (onMessage = listener),
        onHalfClose: () => {},
        end: (error) => finish(() => reject(error ?? new StoreError('watchCanceled'))),
      };
      caller.onClose(() => finish(() => reject(new StoreError('requestCanceled'))));
      this.#server.callStream(WatchService.Watch as never, call as never);
      onMessage(whole(etcdserverpb.WatchRequest, { createRequest: create }));
    });
  }
}

function whole<T>(codec: MessageCodec<T>, message: MessageInput<T>): T {
  return decodeMessage(codec, encodeMessage(codec, message));
}

/** The first key after all that begin with `prefix`. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  const end = Buffer.from(prefix);
  for (let index = end.length - 1; index >= 0; index--) {
    if ((end[index] as number) === 255) continue;
    end[index] = (end[index] as number) + 1;
    return end.subarray(0, index + 1);
  }
  return Uint8Array.of(0);
}
