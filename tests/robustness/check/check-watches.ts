import type { WatchClient, WatchSegment } from '../traffic/watch-client.ts';
import type { Truth, TrueEvent } from './truth.ts';

/** The nine guarantees of a watch, each a check of its own so that a failure has a name. */
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

const describe = ({
  kind,
  key,
  value,
  revision,
}: {
  kind: string;
  key: string;
  value: string | undefined;
  revision: number;
}): string => `${kind} ${key}${value === undefined ? '' : `=${value}`} at revision ${revision}`;

/** Checks all that one watcher got against the history. `compacted`: the highest revision that was compacted meanwhile. */
export function checkWatcher(watcher: WatchClient, truth: Truth, compacted: number): WatchProblem[] {
  const { key, filter } = watcher.shape;
  const isWanted = (event: TrueEvent): boolean =>
    (key === undefined || event.key === key) && event.kind !== filter;
  const wanted = truth.events.filter(isWanted);
  const problems: WatchProblem[] = [];
  for (const [number, segment] of watcher.segments.entries()) {
    checkSegment(segment, { watcher, truth, wanted, compacted, number }, problems);
  }
  return problems;
}

interface Context {
  readonly watcher: WatchClient;
  readonly truth: Truth;
  readonly wanted: readonly TrueEvent[];
  readonly compacted: number;
  readonly number: number;
}

function checkSegment(segment: WatchSegment, context: Context, problems: WatchProblem[]): void {
  const { watcher, truth, wanted, compacted, number } = context;
  const { startRevision, items, endpoint } = segment;
  const { key, prevKv, filter } = watcher.shape;
  const found = new Set<WatchGuarantee>();
  const report = (guarantee: WatchGuarantee, text: string): void => {
    if (found.has(guarantee)) return;
    found.add(guarantee);
    const what = `watch of ${key ?? 'all'}${filter ? ` without ${filter}s` : ''} from ${startRevision} at ${endpoint}`;
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
    const isContinued = item.events[0]?.revision === last && last > 0;
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
      const truly = truth.at(event.key, event.revision);
      if (event.kind === filter) {
        report('filter', `${describe(event)} is filtered`);
        continue;
      }
      if (key !== undefined && event.key !== key) {
        report('filter', `${describe(event)} is of another key`);
        continue;
      }
      if (event.revision > truth.revision) continue;
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
      const before = truth.at(event.key, event.revision - 1);
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
      number > 0 &&
      !wanted.some(({ revision }) => revision >= startRevision && revision < event.revision)
    ) {
      report('resumable', `Resumed from ${startRevision}, it lacks ${describe(event)}`);
    } else report('reliable', `It lacks ${describe(event)}`);
    break;
  }
}
