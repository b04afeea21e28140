import { decodeMessage, etcdserverpb, mvccpb, type MessageInput } from '@pilothouse/proto';
import { StoreError } from '../errors.ts';
import { keyRange, keyText, type KeyText } from '../key-text.ts';
import type { KeyVersion } from '../mvcc/key-table.ts';
import type { MvccStore, WriteTxn } from '../mvcc/mvcc-store.ts';
import { executeRange } from './range.ts';

const { Compare_CompareResult: CompareResult, Compare_CompareTarget: CompareTarget } = etcdserverpb;

/** What a transaction needs to know of leases. */
export interface LeaseAttachments {
  exists(id: bigint): boolean;
  /** Moves a key to a lease; 0n detaches it. */
  attach(key: KeyText, id: bigint): void;
  leaseOf(key: KeyText): bigint;
}

/** The branches that were taken, outermost first, depth first. All compares see the state before the transaction. */
interface Path {
  readonly succeeded: boolean;
  readonly ops: readonly etcdserverpb.RequestOp[];
  readonly nested: ReadonlyMap<etcdserverpb.RequestOp, Path>;
}

type Result<T> = MessageInput<T>;

/** Runs put, delete and txn requests in one write transaction of the store. */
export class TxnExecutor {
  readonly #store: MvccStore;
  readonly #leases: LeaseAttachments;

  constructor(store: MvccStore, leases: LeaseAttachments) {
    this.#store = store;
    this.#leases = leases;
  }

  /** Throws when the state does not allow `request`; nothing was written then. */
  checkPut(request: etcdserverpb.PutRequest): void {
    if (request.lease !== 0n && !this.#leases.exists(request.lease)) throw new StoreError('leaseNotFound');
    if ((request.ignoreValue || request.ignoreLease) && this.#current(keyText(request.key)) === undefined) {
      throw new StoreError('keyNotFound');
    }
  }

  put(txn: WriteTxn, request: etcdserverpb.PutRequest): Result<etcdserverpb.PutResponse> {
    const key = keyText(request.key);
    const needsOld = request.prevKv || request.ignoreValue || request.ignoreLease;
    const version = needsOld ? this.#current(key) : undefined;
    const old = version === undefined ? undefined : this.#store.read(version);
    let { value, lease } = request;
    if (request.ignoreValue || request.ignoreLease) {
      if (old === undefined) throw new StoreError('keyNotFound');
      const previous = decodeMessage(mvccpb.KeyValue, old);
      if (request.ignoreValue) value = previous.value;
      if (request.ignoreLease) lease = previous.lease;
    }
    txn.put(key, request.key, value, lease);
    this.#leases.attach(key, lease);
    return { header: { revision: txn.main }, prevKv: request.prevKv ? old : undefined };
  }

  deleteRange(
    txn: WriteTxn,
    request: etcdserverpb.DeleteRangeRequest,
  ): Result<etcdserverpb.DeleteRangeResponse> {
    const { versions } = this.#store.range(keyRange(request.key, request.rangeEnd));
    const prevKvs = request.prevKv ? versions.map((version) => this.#store.read(version)) : [];
    for (const version of versions) {
      const key = this.#store.keys.keyOf(version);
      txn.delete(key);
      this.#leases.attach(key, 0n);
    }
    return { header: { revision: this.#store.readableRevision(0) }, deleted: versions.length, prevKvs };
  }

  /** Decides the branches and checks all of the chosen path. Throws StoreError; the state is untouched. */
  plan(request: etcdserverpb.TxnRequest): Path {
    const path = this.#choose(request);
    this.#check(path);
    return path;
  }

  /** `txn` is undefined for a transaction that only reads. The header of a nested one stays empty, as in etcd. */
  run(txn: WriteTxn | undefined, path: Path, isNested = false): Result<etcdserverpb.TxnResponse> {
    const responses = path.ops.map((op): Result<etcdserverpb.ResponseOp> => {
      if (op.requestRange) {
        const reply = executeRange(this.#store, op.requestRange);
        return { responseRange: { header: { revision: this.#store.readableRevision(0) }, ...reply } };
      }
      if (op.requestTxn) return { responseTxn: this.run(txn, path.nested.get(op) as Path, true) };
      if (txn === undefined) throw new Error('A read-only transaction contains a write');
      if (op.requestPut) return { responsePut: this.put(txn, op.requestPut) };
      if (op.requestDeleteRange) return { responseDeleteRange: this.deleteRange(txn, op.requestDeleteRange) };
      return {};
    });
    const header = isNested ? {} : { revision: this.#store.readableRevision(0) };
    return { header, succeeded: path.succeeded, responses };
  }

  #current(key: KeyText): KeyVersion | undefined {
    return this.#store.versionAt(key, Number.MAX_SAFE_INTEGER);
  }

  #choose(request: etcdserverpb.TxnRequest): Path {
    const succeeded = request.compare.every((compare) => this.#holds(compare));
    const ops = succeeded ? request.success : request.failure;
    const nested = new Map<etcdserverpb.RequestOp, Path>();
    for (const op of ops) if (op.requestTxn) nested.set(op, this.#choose(op.requestTxn));
    return { succeeded, ops, nested };
  }

  #check(path: Path): void {
    for (const op of path.ops) {
      if (op.requestRange) this.#store.readableRevision(op.requestRange.revision);
      else if (op.requestPut) this.checkPut(op.requestPut);
      else if (op.requestTxn) this.#check(path.nested.get(op) as Path);
    }
  }

  #holds(compare: etcdserverpb.Compare): boolean {
    const range = keyRange(compare.key, compare.rangeEnd);
    let holds = true;
    let any = false;
    const { keys } = this.#store;
    keys.walk(range, Number.MAX_SAFE_INTEGER, (row) => {
      any = true;
      holds = this.#matches(compare, keys.version(row));
      return holds;
    });
    if (any) return holds;
    return compare.target === CompareTarget.VALUE ? false : this.#matches(compare, undefined);
  }

  #matches(compare: etcdserverpb.Compare, version: KeyVersion | undefined): boolean {
    switch (compare.target) {
      case CompareTarget.VERSION:
        return compareHolds(compare.result, (version?.version ?? 0) - (compare.version ?? 0));
      case CompareTarget.CREATE:
        return compareHolds(compare.result, (version?.createMain ?? 0) - (compare.createRevision ?? 0));
      case CompareTarget.MOD:
        return compareHolds(compare.result, (version?.main ?? 0) - (compare.modRevision ?? 0));
      case CompareTarget.LEASE: {
        const lease = version === undefined ? 0n : this.#leases.leaseOf(this.#store.keys.keyOf(version));
        const wanted = compare.lease ?? 0n;
        return compareHolds(compare.result, lease < wanted ? -1 : lease > wanted ? 1 : 0);
      }
      case CompareTarget.VALUE: {
        if (version === undefined) return false;
        const value = keyText(decodeMessage(mvccpb.KeyValue, this.#store.read(version)).value);
        const wanted = keyText(compare.value ?? new Uint8Array(0));
        return compareHolds(compare.result, value < wanted ? -1 : value > wanted ? 1 : 0);
      }
      default:
        return true;
    }
  }
}

function compareHolds(result: number, difference: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return difference === 0;
    case CompareResult.NOT_EQUAL:
      return difference !== 0;
    case CompareResult.GREATER:
      return difference > 0;
    case CompareResult.LESS:
      return difference < 0;
    default:
      return true;
  }
}
