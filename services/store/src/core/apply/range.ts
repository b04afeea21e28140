import { decodeMessage, encodeMessage, etcdserverpb, mvccpb } from '@pilothouse/proto';
import { keyRange } from '../key-text.ts';
import type { KeyVersion } from '../mvcc/key-table.ts';
import type { MvccStore } from '../mvcc/mvcc-store.ts';

const { RangeRequest_SortOrder: SortOrder, RangeRequest_SortTarget: SortTarget } = etcdserverpb;

/** A range reply whose key-values are still in their stored encoding. */
export interface RangeReply {
  readonly kvs: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
}

/** Runs a range request in etcd's order: read at the revision, filter, sort, cut. Throws StoreError. */
export function executeRange(store: MvccStore, request: etcdserverpb.RangeRequest): RangeReply {
  const range = keyRange(request.key, request.rangeEnd);
  const target = request.sortTarget;
  let order = request.sortOrder;
  if (target !== SortTarget.KEY && order === SortOrder.NONE) order = SortOrder.ASCEND;
  const isDefaultOrder = target === SortTarget.KEY && order !== SortOrder.DESCEND;
  const isFiltered =
    request.minModRevision > 0 ||
    request.maxModRevision > 0 ||
    request.minCreateRevision > 0 ||
    request.maxCreateRevision > 0;
  const limit = request.limit > 0 ? request.limit : 0;
  const { versions: found, count } = store.range(range, {
    revision: request.revision,
    countOnly: request.countOnly,
    limit: limit > 0 && isDefaultOrder && !isFiltered ? limit + 1 : 0,
  });
  if (request.countOnly) return { kvs: [], more: false, count };
  let versions = found;
  if (isFiltered) versions = versions.filter((version) => passes(request, version));
  if (!isDefaultOrder) versions = sorted(store, versions, target, order === SortOrder.DESCEND);
  const more = limit > 0 && versions.length > limit;
  if (more) versions = versions.slice(0, limit);
  const kvs = versions.map((version) => store.read(version));
  return { kvs: request.keysOnly ? kvs.map(withoutValue) : kvs, more, count };
}

function passes(request: etcdserverpb.RangeRequest, version: KeyVersion): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return (
    !(minModRevision > 0 && version.main < minModRevision) &&
    !(maxModRevision > 0 && version.main > maxModRevision) &&
    !(minCreateRevision > 0 && version.createMain < minCreateRevision) &&
    !(maxCreateRevision > 0 && version.createMain > maxCreateRevision)
  );
}

function sorted(
  store: MvccStore,
  versions: readonly KeyVersion[],
  target: number,
  descending: boolean,
): readonly KeyVersion[] {
  const sign = descending ? -1 : 1;
  const by = (value: (version: KeyVersion) => number): readonly KeyVersion[] =>
    [...versions].sort((a, b) => sign * (value(a) - value(b)));
  switch (target) {
    case SortTarget.VERSION:
      return by((version) => version.version);
    case SortTarget.CREATE:
      return by((version) => version.createMain);
    case SortTarget.MOD:
      return by((version) => version.main);
    case SortTarget.VALUE:
      return versions
        .map((version) => ({ version, value: valueText(store.read(version)) }))
        .sort((a, b) => sign * (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
        .map(({ version }) => version);
    default:
      return descending ? versions.toReversed() : versions;
  }
}

function valueText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of decodeMessage(mvccpb.KeyValue, bytes).value) text += String.fromCharCode(byte);
  return text;
}

export function withoutValue(bytes: Uint8Array): Uint8Array {
  const { value: _, ...rest } = decodeMessage(mvccpb.KeyValue, bytes);
  return encodeMessage(mvccpb.KeyValue, rest);
}
