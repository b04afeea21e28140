import type { etcdserverpb } from '@pilothouse/proto';
import { StoreError } from '../errors.ts';
import { keyRange, keyText, rangeContains, type KeyRange, type KeyText } from '../key-text.ts';

/** What a request must satisfy before it is proposed, independent of the state. All throw StoreError. */
export function checkRange(request: etcdserverpb.RangeRequest): void {
  if (request.key.length === 0) throw new StoreError('emptyKey');
  if (request.sortOrder < 0 || request.sortOrder > 2) throw new StoreError('invalidSortOption');
  if (request.sortTarget < 0 || request.sortTarget > 4) throw new StoreError('invalidSortOption');
}

export function checkPut(request: etcdserverpb.PutRequest): void {
  if (request.key.length === 0) throw new StoreError('emptyKey');
  if (request.ignoreValue && request.value.length !== 0) throw new StoreError('valueProvided');
  if (request.ignoreLease && request.lease !== 0n) throw new StoreError('leaseProvided');
}

export function checkDelete(request: etcdserverpb.DeleteRangeRequest): void {
  if (request.key.length === 0) throw new StoreError('emptyKey');
}

/** A nested transaction may use what its parent leaves of `opsMax`. */
export function checkTxn(request: etcdserverpb.TxnRequest, opsMax: number): void {
  checkTxnOps(request, opsMax);
  collectWrites(request.success);
  collectWrites(request.failure);
}

function checkTxnOps(request: etcdserverpb.TxnRequest, opsMax: number): void {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) throw new StoreError('tooManyOps');
  for (const compare of request.compare) if (compare.key.length === 0) throw new StoreError('emptyKey');
  for (const op of [...request.success, ...request.failure]) {
    if (op.requestRange) checkRange(op.requestRange);
    else if (op.requestPut) checkPut(op.requestPut);
    else if (op.requestDeleteRange) checkDelete(op.requestDeleteRange);
    else if (op.requestTxn) checkTxnOps(op.requestTxn, opsMax - ops);
    else throw new StoreError('keyNotFound');
  }
}

interface Writes {
  readonly puts: Set<KeyText>;
  readonly deletes: KeyRange[];
}

/** Everything one branch may write; a key written twice on one path is refused. The two branches of a nested txn exclude each other. */
function collectWrites(ops: readonly etcdserverpb.RequestOp[]): Writes {
  const puts = new Set<KeyText>();
  const deletes: KeyRange[] = [];
  for (const { requestDeleteRange } of ops) {
    if (requestDeleteRange) deletes.push(keyRange(requestDeleteRange.key, requestDeleteRange.rangeEnd));
  }
  const claim = (key: KeyText, alternative?: ReadonlySet<KeyText>): void => {
    if (puts.has(key) && alternative?.has(key) !== true) throw new StoreError('duplicateKey');
    if (deletes.some((range) => rangeContains(range, key))) throw new StoreError('duplicateKey');
    puts.add(key);
  };
  for (const { requestTxn } of ops) {
    if (!requestTxn) continue;
    const success = collectWrites(requestTxn.success);
    const failure = collectWrites(requestTxn.failure);
    for (const key of success.puts) claim(key);
    for (const key of failure.puts) claim(key, success.puts);
    deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const { requestPut } of ops) if (requestPut) claim(keyText(requestPut.key));
  return { puts, deletes };
}

/** True when neither branch can write, so that no log entry is needed. */
export function isReadOnlyTxn(request: etcdserverpb.TxnRequest): boolean {
  return [...request.success, ...request.failure].every(
    (op) => !op.requestPut && !op.requestDeleteRange && (!op.requestTxn || isReadOnlyTxn(op.requestTxn)),
  );
}

/** True when every read of the transaction may be answered from the local state. */
export function isSerializableTxn(request: etcdserverpb.TxnRequest): boolean {
  return [...request.success, ...request.failure].every((op) => op.requestRange?.serializable === true);
}
