import { orderedMap, type OrderedMap } from '@pilothouse/base';
import type { Backend, BackendImage, BackendReplacement, RevisionRecord } from './backend.ts';

interface RevisionKey {
  readonly main: number;
  readonly sub: number;
}

const compareRevisions = (a: RevisionKey, b: RevisionKey): number => a.main - b.main || a.sub - b.sub;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A backend that lives and dies with the process; for simulation and tests. Snapshots share structure with it. */
export class MemoryBackend implements Backend {
  #records: OrderedMap<string, Uint8Array> = orderedMap(compareText);
  #revisions: OrderedMap<RevisionKey, Uint8Array> = orderedMap(compareRevisions);

  readRecord(key: string): Uint8Array | undefined {
    return this.#records.get(key);
  }

  writeRecord(key: string, value: Uint8Array): void {
    this.#records.set(key, value);
  }

  deleteRecord(key: string): void {
    this.#records.delete(key);
  }

  *scanRecords(prefix: string): Iterable<readonly [string, Uint8Array]> {
    for (const [key, value] of this.#records.entries(prefix)) {
      if (!key.startsWith(prefix)) return;
      yield [key, value];
    }
  }

  readRevision(main: number, sub: number): Uint8Array | undefined {
    return this.#revisions.get({ main, sub });
  }

  writeRevision(main: number, sub: number, bytes: Uint8Array): void {
    this.#revisions.set({ main, sub }, bytes);
  }

  deleteRevision(main: number, sub: number): void {
    this.#revisions.delete({ main, sub });
  }

  scanRevisions(fromMain: number, toMain: number): Iterable<RevisionRecord> {
    return scan(this.#revisions, fromMain, toMain);
  }

  entryDone(): void {}

  snapshot(): BackendImage {
    const records = this.#records.clone();
    const revisions = this.#revisions.clone();
    return {
      records: () => records.entries(),
      revisions: () => scan(revisions, 0, Infinity),
      release() {},
    };
  }

  replacement(): BackendReplacement {
    const next = new MemoryBackend();
    return {
      writeRecord: (key, value) => next.writeRecord(key, value),
      writeRevision: (main, sub, bytes) => next.writeRevision(main, sub, bytes),
      settled: () => Promise.resolve(),
      install: (onInstalled) => {
        this.#records = next.#records;
        this.#revisions = next.#revisions;
        onInstalled();
        return Promise.resolve();
      },
      abandon: () => Promise.resolve(),
    };
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  readonly openImages = 0;

  sizeAllocated(): number {
    return 0;
  }

  defragment(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function* scan(
  revisions: OrderedMap<RevisionKey, Uint8Array>,
  fromMain: number,
  toMain: number,
): Iterable<RevisionRecord> {
  for (const [{ main, sub }, bytes] of revisions.entries({ main: fromMain, sub: 0 })) {
    if (main > toMain) return;
    yield { main, sub, bytes };
  }
}
