// The one place that knows which B+ tree is used (ADR 0003): copy-on-write clones make a snapshot a pointer.
import BTreeModule from 'sorted-btree';
import type * as SortedTree from 'sorted-btree';

/** A sorted map. `clone()` is O(1): both sides share nodes and copy on write. */
export type OrderedMap<K, V> = SortedTree.default<K, V>;

/** The package is CommonJS: depending on who loads it, the class is the module or its `default`. */
const treeClass = ((BTreeModule as unknown as { default?: unknown }).default ?? BTreeModule) as new <K, V>(
  entries: undefined,
  compare: (a: K, b: K) => number,
) => OrderedMap<K, V>;

export function orderedMap<K, V>(compare: (a: K, b: K) => number): OrderedMap<K, V> {
  return new treeClass<K, V>(undefined, compare);
}
