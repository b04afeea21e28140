/** A change of one key as the store's own history has it. */
export interface HistoryEvent {
  readonly revision: number;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  /** Undefined for a delete. */
  readonly value: string | undefined;
  /** 0 for a delete, as is `version`. */
  readonly createRevision: number;
  readonly version: number;
}

/** A change as a watcher got it. */
export interface GotEvent extends HistoryEvent {
  readonly previous: { readonly value: string; readonly modRevision: number } | undefined;
}

export type GotItem =
  | { readonly kind: 'events'; readonly events: readonly GotEvent[] }
  /** A progress notification: everything up to `revision` has been sent. */
  | { readonly kind: 'progress'; readonly revision: number };

/** What a watch asks for. */
export interface WatchShape {
  /** Undefined: every key of the history. */
  readonly key: string | undefined;
  readonly prevKv: boolean;
  readonly filter: 'put' | 'delete' | undefined;
}

/** One watch from its creation to its end. */
export interface WatchSegment {
  /** For messages. */
  readonly where: string;
  /** 0: it never began. */
  readonly startRevision: number;
  /** It goes on where another one ended. */
  readonly isResumed: boolean;
  readonly items: readonly GotItem[];
}

/** The nine guarantees of a watch, each with a name of its own so that a failure tells which. */
export const watchGuarantees = [
  'ordered',
  'unique',
  'reliable',
  'atomic',
  'resumable',
  'bookmarkable',
  'prevKV',
  'isCreate',
  'filter',
] as const;
export type WatchGuarantee = (typeof watchGuarantees)[number];

export interface WatchProblem {
  readonly guarantee: WatchGuarantee;
  readonly text: string;
}

/** Changes ascending by revision, with quick access by key. */
export class EventHistory<E extends HistoryEvent = HistoryEvent> {
  readonly events: E[] = [];
  readonly #byKey = new Map<string, E[]>();

  push(event: E): void {
    this.events.push(event);
    const list = this.#byKey.get(event.key);
    if (list) list.push(event);
    else this.#byKey.set(event.key, [event]);
  }

  get keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  eventsOf(key: string): readonly E[] {
    return this.#byKey.get(key) ?? [];
  }

  /** The last event of `key` at or before `revision`. */
  at(key: string, revision: number): E | undefined {
    const list = this.eventsOf(key);
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return list[low - 1];
  }
}

export interface WatchCheck {
  readonly shape: WatchShape;
  readonly history: EventHistory;
  /** The history is complete up to here. */
  readonly knownUpTo: number;
  /** The highest revision that was compacted meanwhile: previous values from before it may be missing. */
  readonly compacted: number;
}

const describe = ({ kind, key, value, revision }: HistoryEvent): string =>
  `${kind} ${key}${value === undefined ? '' : `=${value}`} at revision ${revision}`;

/** Checks all that one watch got against the history; at most one problem for each guarantee. */
export function checkWatchSegment(segment: WatchSegment, check: WatchCheck): WatchProblem[] {
  const { startRevision, items, where, isResumed } = segment;
  const { shape, history, knownUpTo, compacted } = check;
  const { key, prevKv, filter } = shape;
  const problems: WatchProblem[] = [];
  const wanted = (key === undefined ? history.events : history.eventsOf(key)).filter(
    ({ kind }) => kind !== filter,
  );
  const found = new Set<WatchGuarantee>();
  const report = (guarantee: WatchGuarantee, text: string): void => {
    if (found.has(guarantee)) return;
    found.add(guarantee);
    const what = `watch of ${key ?? 'all'}${filter ? ` without ${filter}s` : ''} from ${startRevision} at ${where}`;
    problems.push({ guarantee, text: `${text} (${what})` });
  };
  const seen = new Set<string>();
  let progress = 0;
  let last = 0;
  for (const item of items) {
    if (item.kind === 'progress') {
      if (item.revision < progress)
        report('bookmarkable', `Progress went back from ${progress} to ${item.revision}`);
      progress = Math.max(progress, item.revision);
      continue;
    }
    const [first] = item.events;
    const isContinued = first !== undefined && first.revision === last && !seen.has(`${last}/${first.key}`);
    if (isContinued) report('atomic', `Revision ${last} is split over two responses`);
    for (const event of item.events) {
      const id = `${event.revision}/${event.key}`;
      if (event.revision < last) report('ordered', `${describe(event)} came after revision ${last}`);
      if (seen.has(id)) report('unique', `${describe(event)} came twice`);
      seen.add(id);
      if (event.revision <= progress)
        report('bookmarkable', `${describe(event)} came after progress to ${progress}`);
      if (event.revision < startRevision) report('unique', `${describe(event)} is before the start`);
      last = Math.max(last, event.revision);
      const truly = history.at(event.key, event.revision);
      if (event.kind === filter) {
        report('filter', `${describe(event)} is filtered`);
        continue;
      }
      if (key !== undefined && event.key !== key) {
        report('filter', `${describe(event)} is of another key`);
        continue;
      }
      if (event.revision > knownUpTo) continue;
      if (truly?.revision !== event.revision || truly.kind !== event.kind || truly.value !== event.value) {
        report('reliable', `${describe(event)} never happened`);
        continue;
      }
      if (
        event.kind === 'put' &&
        (truly.createRevision !== event.createRevision || truly.version !== event.version)
      )
        report(
          'isCreate',
          `${describe(event)} has create revision ${event.createRevision} and version ${event.version}, want ${truly.createRevision} and ${truly.version}`,
        );
      const before = history.at(event.key, event.revision - 1);
      const previous = before?.kind === 'put' ? before : undefined;
      const isGone = event.previous === undefined && event.revision - 1 <= compacted;
      if (
        prevKv &&
        !isGone &&
        (event.previous?.modRevision !== previous?.revision || event.previous?.value !== previous?.value)
      ) {
        report(
          'prevKV',
          `${describe(event)} has the previous value ${event.previous?.value ?? '(none)'}, want ${previous?.value ?? '(none)'}`,
        );
      }
      if (!prevKv && event.previous)
        report('prevKV', `${describe(event)} has a previous value that nobody asked for`);
    }
  }
  // Nothing between the start and the last thing known may be missing.
  const until = Math.max(last, progress);
  for (const event of wanted) {
    if (event.revision < startRevision || startRevision === 0) continue;
    if (event.revision > until) break;
    if (seen.has(`${event.revision}/${event.key}`)) continue;
    if (event.revision === last && [...seen].some((id) => id.startsWith(`${event.revision}/`))) {
      report('atomic', `Revision ${event.revision} came without ${describe(event)}`);
    } else if (event.revision > last) {
      report('bookmarkable', `Progress to ${progress} was told without ${describe(event)}`);
    } else if (
      isResumed &&
      !wanted.some(({ revision }) => revision >= startRevision && revision < event.revision)
    ) {
      report('resumable', `Resumed from ${startRevision}, it lacks ${describe(event)}`);
    } else report('reliable', `It lacks ${describe(event)}`);
    break;
  }
  return problems;
}
