import type { Stored, WatchEvent } from '../registry/rest/rest-storage.ts';
import type { SelectionPredicate } from './interface.ts';

/**
 * A change as a watcher with this selector sees it: an object that begins to match was added for it, one that stops to match was
 * deleted. `atDeletion` gives the previous state with the resourceVersion of the change.
 */
export function selectorTransition(
  predicate: SelectionPredicate,
  previous: Stored | undefined,
  current: Stored | undefined,
  atDeletion: () => Stored,
): WatchEvent | undefined {
  const now = current !== undefined && (predicate.everything || predicate.matches(current.object));
  const before = previous !== undefined && (predicate.everything || predicate.matches(previous.object));
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object: current };
  if (before) return { type: 'DELETED', object: atDeletion() };
  return undefined;
}
