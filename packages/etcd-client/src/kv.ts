import {
  decodeMessage,
  encodeMessage,
  etcdserverpb,
  type MessageInput,
  type MethodInfo,
} from '@pilothouse/proto';
import type { Balancer, CallKind, CallOptions } from './balancer.ts';

type Pb<T> = MessageInput<T>;

/** Calls one unary method with typed messages. */
export async function callUnary<Req, Res>(
  balancer: Balancer,
  kind: CallKind,
  method: MethodInfo<Req, Res>,
  request: MessageInput<Req>,
  options?: CallOptions,
): Promise<Res> {
  const reply = await balancer.unary(kind, method.path, encodeMessage(method.request, request), options);
  return decodeMessage(method.response, reply);
}

/** Key-value calls. Keys and values of replies are views into the reply's bytes: copy what is kept beside large lists. */
export class EtcdKv {
  readonly #balancer: Balancer;

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
  }

  range(request: Pb<etcdserverpb.RangeRequest>, options?: CallOptions): Promise<etcdserverpb.RangeResponse> {
    return callUnary(this.#balancer, 'readOnly', etcdserverpb.KVService.Range, request, options);
  }

  put(request: Pb<etcdserverpb.PutRequest>, options?: CallOptions): Promise<etcdserverpb.PutResponse> {
    return callUnary(this.#balancer, 'write', etcdserverpb.KVService.Put, request, options);
  }

  deleteRange(
    request: Pb<etcdserverpb.DeleteRangeRequest>,
    options?: CallOptions,
  ): Promise<etcdserverpb.DeleteRangeResponse> {
    return callUnary(this.#balancer, 'write', etcdserverpb.KVService.DeleteRange, request, options);
  }

  txn(request: Pb<etcdserverpb.TxnRequest>, options?: CallOptions): Promise<etcdserverpb.TxnResponse> {
    return callUnary(
      this.#balancer,
      isReadOnlyTxn(request) ? 'readOnly' : 'write',
      etcdserverpb.KVService.Txn,
      request,
      options,
    );
  }

  compact(
    request: Pb<etcdserverpb.CompactionRequest>,
    options?: CallOptions,
  ): Promise<etcdserverpb.CompactionResponse> {
    return callUnary(this.#balancer, 'write', etcdserverpb.KVService.Compact, request, options);
  }
}

function isReadOnlyTxn(request: Pb<etcdserverpb.TxnRequest>): boolean {
  const branches = [...(request.success ?? []), ...(request.failure ?? [])];
  return branches.every((op) => {
    if (op instanceof Uint8Array || op.requestPut !== undefined || op.requestDeleteRange !== undefined)
      return false;
    const inner = op.requestTxn;
    return inner === undefined || (!(inner instanceof Uint8Array) && isReadOnlyTxn(inner));
  });
}

/** The end of the range of all keys that start with `prefix`; `\0` (no end) when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let index = prefix.length - 1; index >= 0; index--) {
    const byte = prefix[index] as number;
    if (byte < 0xff) {
      // Not slice(): that of a Buffer shares the caller's bytes.
      const end = new Uint8Array(prefix.subarray(0, index + 1));
      end[index] = byte + 1;
      return end;
    }
  }
  return Uint8Array.of(0);
}
