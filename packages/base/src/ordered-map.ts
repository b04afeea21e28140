// The one place that knows which B+ tree is used (ADR 0003): copy-on-write clones make a snapshot a pointer.
import BTreeModule from 'sorted-btree';

type BTreeClass = typeof BTreeModule extends { default: infer C } ? C : typeof BTreeModule;
const BTree = ((BTreeModule as unknown as { default?: unknown }).default ?? BTreeModule) as unknown as BTreeClass;

/** A sorted map. `clone()` is O(1): both sides share nodes and copy on write. */
export type OrderedMap<K, V> = import('sorted-btree').default<K, V>;

export function orderedMap<K, V>(compare: (a: K, b: K) => number): OrderedMap<K, V> {
  return new (BTree as unknown as new (entries: undefined, compare: (a: K, b: K) => number) => OrderedMap<K, V>)(
    undefined,
    compare,
  );
}
