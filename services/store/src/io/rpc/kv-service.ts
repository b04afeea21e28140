import { etcdserverpb, type MessageInput } from '@pilothouse/proto';
import {
  checkDelete,
  checkPut,
  checkRange,
  checkTxn,
  isReadOnlyTxn,
  isSerializableTxn,
} from '../../core/apply/check-request.ts';
import type { Call } from './call.ts';
import { GrpcError, type GrpcServer, type ServerStreamCall } from './grpc-server.ts';
import { grpcStatus, type Command } from '../../core/index.ts';
import type { StoreService } from './store-service.ts';
import { within } from './traced.ts';

/** Registers etcdserverpb.KV. */
export function registerKv(server: GrpcServer, service: StoreService): void {
  const { machine, options } = service;
  const { KVService } = etcdserverpb;

  server.unary(KVService.Range, (request, call) => {
    checkRange(request);
    service.checkHealthy();
    const info = service.authInfo(call);
    machine.auth.checkRange(info, request.key, request.rangeEnd, 'read');
    type Reply = MessageInput<etcdserverpb.RangeResponse>;
    const make = (): readonly [Reply, number] => {
      const reply = machine.range(request);
      let bytes = 0;
      for (const kv of reply.kvs) bytes += kv.length;
      return [service.withHeader(reply), bytes];
    };
    const read = (): Reply | Promise<Reply> => call.paced?.(make) ?? make()[0];
    if (request.serializable) return read();
    service.checkNotLearner();
    return readBarrier(service, call).then(() => {
      // Permissions may have changed while the barrier was awaited.
      machine.auth.checkRange(info, request.key, request.rangeEnd, 'read');
      return read();
    });
  });

  server.unary(KVService.Put, async (request, call) => {
    checkPut(request);
    service.checkNotLearner();
    service.checkHealthy();
    const refused = service.reserve(service.putCost(request));
    if (refused !== undefined) await refused;
    return service.withHeader(
      await propose<MessageInput<etcdserverpb.PutResponse>>(service, call, { put: request }),
    );
  });

  server.unary(KVService.DeleteRange, async (request, call) => {
    checkDelete(request);
    service.checkNotLearner();
    service.checkHealthy();
    return service.withHeader(
      await propose<MessageInput<etcdserverpb.DeleteRangeResponse>>(service, call, { deleteRange: request }),
    );
  });

  server.unary(KVService.Txn, async (request, call) => {
    checkTxn(request, options.maxTxnOps);
    service.checkNotLearner();
    service.checkHealthy();
    if (isReadOnlyTxn(request)) {
      if (!isSerializableTxn(request)) await readBarrier(service, call);
      machine.auth.checkTxn(service.authInfo(call), request, () => []);
      return service.withHeader(machine.readOnlyTxn(request));
    }
    const cost = txnCost(service, request);
    if (cost > 0) await service.reserve(cost);
    return service.withHeader(
      await propose<MessageInput<etcdserverpb.TxnResponse>>(service, call, { txn: request }),
    );
  });

  server.unary(KVService.Compact, async (request, call) => {
    service.checkNotLearner();
    service.checkHealthy();
    machine.auth.checkAdmin(service.authInfo(call));
    const reply = await service.propose<MessageInput<etcdserverpb.CompactionResponse>>({
      compaction: request,
    });
    if (request.physical) await service.compactionDone();
    return service.withHeader(reply);
  });

  server.serverStream(KVService.RangeStream, async (request, call) => {
    checkRange(request);
    if (request.sortOrder !== 0 || request.sortTarget !== 0) {
      throw new GrpcError(grpcStatus.unimplemented, 'RangeStream does not support custom sort orders');
    }
    if (
      request.minModRevision ||
      request.maxModRevision ||
      request.minCreateRevision ||
      request.maxCreateRevision
    ) {
      throw new GrpcError(grpcStatus.unimplemented, 'RangeStream does not support revision filters');
    }
    service.checkHealthy();
    machine.auth.checkRange(service.authInfo(call), request.key, request.rangeEnd, 'read');
    if (!request.serializable) {
      service.checkNotLearner();
      await service.readBarrier();
    }
    await streamRange(service, request, call);
  });
}

/** Through the log and applied here, for the caller. */
function propose<T>(service: StoreService, call: Call, command: MessageInput<Command>): Promise<T> {
  return step(call, 'raft.propose', service, () => service.propose<T>(command, service.caller(call)));
}

function readBarrier(service: StoreService, call: Call): Promise<void> {
  return step(call, 'raft.readIndex', service, () => service.readBarrier());
}

/** What the call waits for consensus, as a child of its span where it has one. */
function step<T>(call: Call, name: string, service: StoreService, action: () => Promise<T>): Promise<T> {
  if (call.span === undefined) return action();
  const { term, role } = service.replication.status();
  return within(call.span.child(name, 'internal', { 'raft.term': term, 'raft.role': role }), action);
}

/** Sends a range in chunks that grow toward the request limit. The revision is pinned; a compaction meanwhile ends the call. */
async function streamRange(
  service: StoreService,
  request: etcdserverpb.RangeRequest,
  call: ServerStreamCall<etcdserverpb.RangeStreamResponse>,
): Promise<void> {
  const { machine, options } = service;
  const revision = request.revision > 0 ? request.revision : machine.store.currentRevision;
  const header = service.header();
  if (request.countOnly) {
    const { count } = machine.range({ ...request, revision });
    call.write({ rangeResponse: { header, count } });
    return;
  }
  let wake = (): void => {};
  call.onDrain(() => wake());
  call.onClose(() => wake());
  let { key } = request;
  let left = request.limit > 0 ? request.limit : Infinity;
  let keys = 10;
  let count = 0;
  for (;;) {
    const limit = Math.min(keys, left);
    const reply = machine.range({ ...request, key, revision, limit });
    if (count === 0) count = reply.count;
    left -= reply.kvs.length;
    if (!reply.more || left === 0) {
      call.write({ rangeResponse: { header, kvs: reply.kvs, more: reply.more, count } });
      return;
    }
    let bytes = 0;
    for (const kv of reply.kvs) bytes += kv.length;
    if (bytes < options.maxRequestBytes / 2) keys *= 2;
    else if (bytes > options.maxRequestBytes) keys = Math.max(1, keys >> 1);
    if (!call.write({ rangeResponse: { kvs: reply.kvs } })) {
      if (call.isCancelled) return;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    key = afterKey(reply.kvs.at(-1) as Uint8Array);
  }
}

/** The first key after that of an encoded KeyValue, whose key is its first field. */
function afterKey(kv: Uint8Array): Uint8Array {
  let length = 0;
  let position = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = kv[position++] as number;
    length |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  const key = new Uint8Array(length + 1);
  key.set(kv.subarray(position, position + length));
  return key;
}

function txnCost(service: StoreService, request: etcdserverpb.TxnRequest): number {
  const branch = (ops: readonly etcdserverpb.RequestOp[]): number =>
    ops.reduce((sum, { requestPut, requestTxn }) => {
      if (requestPut) return sum + service.putCost(requestPut);
      return requestTxn ? sum + txnCost(service, requestTxn) : sum;
    }, 0);
  return Math.max(branch(request.success), branch(request.failure));
}
