/** One change of one key as a watcher or the store's own history shows it. */
export interface WatchedEvent {
  readonly revision: number;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  /** Undefined for a delete. */
  readonly value: string | undefined;
}

export type WatchedItem =
  | { readonly kind: 'events'; readonly events: readonly WatchedEvent[] }
  /** A progress notification: everything up to `revision` has been sent. */
  | { readonly kind: 'progress'; readonly revision: number };

const describe = (event: WatchedEvent): string =>
  `${event.kind} ${event.key}=${event.value ?? ''} at revision ${event.revision}`;

/**
 * Checks one watcher's stream against the store's history (ascending by revision, filtered to the watched keys): ordered, unique,
 * atomic (a revision's events come in one response), reliable (no gaps), resumable from `startRevision`, and bookmarkable (nothing at or
 * before a progress revision comes later). Returns what is wrong, or undefined. A watcher may end anywhere.
 */
export function checkWatch(
  received: readonly WatchedItem[],
  history: readonly WatchedEvent[],
  startRevision: number,
): string | undefined {
  const expected = history.filter((event) => event.revision >= startRevision);
  let position = 0;
  let progress = 0;
  let lastRevision = 0;
  for (const item of received) {
    if (item.kind === 'progress') {
      if (item.revision < progress) return `Progress goes back from ${progress} to ${item.revision}`;
      progress = item.revision;
      const missing = expected[position];
      if (missing && missing.revision <= progress)
        return `Progress to ${progress} was told before ${describe(missing)}`;
      continue;
    }
    if (item.events.length > 0 && (item.events[0] as WatchedEvent).revision === lastRevision) {
      return `Revision ${lastRevision} is split over two responses`;
    }
    for (const event of item.events) {
      if (event.revision < lastRevision)
        return `Out of order: ${describe(event)} after revision ${lastRevision}`;
      if (event.revision <= progress) return `${describe(event)} came after progress to ${progress}`;
      const wanted = expected[position];
      if (!wanted) return `${describe(event)} never happened`;
      if (
        wanted.revision !== event.revision ||
        wanted.kind !== event.kind ||
        wanted.key !== event.key ||
        wanted.value !== event.value
      ) {
        return `Got ${describe(event)} where ${describe(wanted)} is next`;
      }
      position++;
      lastRevision = event.revision;
    }
    const next = expected[position];
    if (next && next.revision === lastRevision) return `Revision ${lastRevision} lacks ${describe(next)}`;
  }
  return undefined;
}
