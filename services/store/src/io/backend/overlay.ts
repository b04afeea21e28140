import type { Database, Transaction } from 'lmdb';
import { orderedMap, type OrderedMap } from '@pilothouse/base';
import type { RevisionRecord } from '../../core/backend.ts';

interface RevisionKey {
  readonly main: number;
  readonly sub: number;
}

type RevisionOverlay = OrderedMap<RevisionKey, Uint8Array | null>;
type RecordOverlay = OrderedMap<string, Uint8Array | null>;

const compareRevisions = (a: RevisionKey, b: RevisionKey): number => a.main - b.main || a.sub - b.sub;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Writes that are not in LMDB yet; null stands for a removal. */
export class Overlay {
  readonly revisions: RevisionOverlay;
  readonly records: RecordOverlay;
  constructor(
    revisions: RevisionOverlay = orderedMap(compareRevisions),
    records: RecordOverlay = orderedMap(compareText),
  ) {
    this.revisions = revisions;
    this.records = records;
  }

  get size(): number {
    return this.revisions.size + this.records.size;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  /** Shares its nodes with this one; later writes to either do not show in the other. */
  clone(): Overlay {
    return new Overlay(this.revisions.clone(), this.records.clone());
  }
}

/** What makes up the state at one moment. */
export interface Layers {
  /** The newest first. */
  readonly overlays: readonly Overlay[];
  readonly records: Database<Buffer, string>;
  readonly revisions: Database<Buffer, Uint8Array>;
  /** Checks a stored value against its key and gives its content. Throws BackendError. */
  readonly open: (what: string, key: Uint8Array, stored: Uint8Array) => Uint8Array;
  /** How many entries are stored: a damaged page may end a scan early without an error. */
  readonly counts: () => { readonly records: number; readonly revisions: number };
  /** Throws for a scan of everything that has found another number of entries than there are. */
  readonly miscounted: (table: string, found: number, wanted: number) => never;
  /** What to throw for an error of LMDB. */
  readonly explain: (error: unknown) => unknown;
}

/** Records whose key starts with `prefix`, in key order. */
export function scanRecords(
  { overlays, records, open, explain, counts, miscounted }: Layers,
  prefix: string,
  transaction: Transaction | undefined,
): Iterable<readonly [string, Uint8Array]> {
  let result = explained(storedRecords(records, open, prefix, transaction), explain);
  if (prefix === '')
    result = counted(
      result,
      () => counts().records,
      (found, wanted) => miscounted('records', found, wanted),
    );
  for (const overlay of overlays.toReversed()) result = mergeRecords(result, overlay.records, prefix);
  return result;
}

/** Revisions with fromMain ≤ main ≤ toMain, in order. */
export function scanRevisions(
  { overlays, revisions, open, explain, counts, miscounted }: Layers,
  fromMain: number,
  toMain: number,
  transaction: Transaction | undefined,
): Iterable<RevisionRecord> {
  let result = explained(storedRevisions(revisions, open, fromMain, toMain, transaction), explain);
  if (fromMain === 0 && toMain >= Number.MAX_SAFE_INTEGER)
    result = counted(
      result,
      () => counts().revisions,
      (found, wanted) => miscounted('revisions', found, wanted),
    );
  for (const overlay of overlays.toReversed())
    result = mergeRevisions(result, overlay.revisions, fromMain, toMain);
  return result;
}

/** Only where the number of entries was the same before and after can a scan have missed some. */
function* counted<T>(
  entries: Iterable<T>,
  count: () => number,
  miscounted: (found: number, wanted: number) => never,
): Iterable<T> {
  const wanted = count();
  let found = 0;
  for (const entry of entries) {
    found++;
    yield entry;
  }
  if (found !== wanted && count() === wanted) miscounted(found, wanted);
}

function* explained<T>(entries: Iterable<T>, explain: Layers['explain']): Iterable<T> {
  try {
    yield* entries;
  } catch (error) {
    throw explain(error);
  }
}

const revisionKeyBytes = 12;

/** A record's key as its checksum covers it. */
export const recordBytes = (key: string): Uint8Array => Buffer.from(key, 'latin1');

export function revisionBytes(main: number, sub: number): Uint8Array {
  const key = Buffer.allocUnsafe(revisionKeyBytes);
  key.writeUInt32BE(Math.floor(main / 4294967296), 0);
  key.writeUInt32BE(main >>> 0, 4);
  key.writeUInt32BE(sub, 8);
  return key;
}

function* storedRevisions(
  db: Database<Buffer, Uint8Array>,
  open: Layers['open'],
  fromMain: number,
  toMain: number,
  transaction: Transaction | undefined,
): Iterable<RevisionRecord> {
  const start = revisionBytes(fromMain, 0);
  const end = toMain >= Number.MAX_SAFE_INTEGER ? undefined : revisionBytes(toMain + 1, 0);
  const options = {
    start,
    ...(end === undefined ? {} : { end }),
    ...(transaction === undefined ? {} : { transaction }),
  };
  for (const { key, value } of db.getRange(options)) {
    const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
    if (view.length !== revisionKeyBytes) open('a revision', view, new Uint8Array(0));
    const main = view.readUInt32BE(0) * 4294967296 + view.readUInt32BE(4);
    yield { main, sub: view.readUInt32BE(8), bytes: open(`revision ${main}`, view, value) };
  }
}

function* storedRecords(
  db: Database<Buffer, string>,
  open: Layers['open'],
  prefix: string,
  transaction: Transaction | undefined,
): Iterable<readonly [string, Uint8Array]> {
  const options = {
    ...(prefix === '' ? {} : { start: prefix }),
    ...(transaction === undefined ? {} : { transaction }),
  };
  for (const { key, value } of db.getRange(options)) {
    if (!key.startsWith(prefix)) return;
    yield [key, open(`record ${key}`, recordBytes(key), value)];
  }
}

function* mergeRevisions(
  stored: Iterable<RevisionRecord>,
  overlay: RevisionOverlay,
  fromMain: number,
  toMain: number,
): Iterable<RevisionRecord> {
  const pending = overlay.entries({ main: fromMain, sub: 0 });
  let next = pending.next();
  for (const record of stored) {
    while (!next.done && compareRevisions(next.value[0], record) < 0) {
      const [{ main, sub }, bytes] = next.value;
      if (main > toMain) break;
      if (bytes !== null) yield { main, sub, bytes };
      next = pending.next();
    }
    if (!next.done && compareRevisions(next.value[0], record) === 0) {
      const bytes = next.value[1];
      next = pending.next();
      if (bytes !== null) yield { main: record.main, sub: record.sub, bytes };
    } else yield record;
  }
  for (; !next.done; next = pending.next()) {
    const [{ main, sub }, bytes] = next.value;
    if (main > toMain) return;
    if (bytes !== null) yield { main, sub, bytes };
  }
}

function* mergeRecords(
  stored: Iterable<readonly [string, Uint8Array]>,
  overlay: RecordOverlay,
  prefix: string,
): Iterable<readonly [string, Uint8Array]> {
  const result = new Map(stored);
  overlay.forEachPair((key, value) => {
    if (!key.startsWith(prefix)) return;
    if (value === null) result.delete(key);
    else result.set(key, value);
  });
  yield* [...result].sort(([a], [b]) => compareText(a, b));
}
