import { Distribution } from './cells.ts';

/** Bounds of etcd_request_duration_seconds, seconds. */
const bounds = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

export type StoreOperation = 'get' | 'list' | 'count' | 'create' | 'update' | 'delete';

/** What was asked of the store for the keys of one resource in one way. */
export interface StoreSeries {
  readonly operation: StoreOperation;
  /** The key's folders that name a resource: `pods`, `example.com/widgets`. */
  readonly folder: string;
  readonly seconds: Distribution;
  errors: number;
}

/** Times of the requests to the store. Found by text alone, so that nothing need be told of resources that come and go. */
export class StoreCalls {
  readonly #series = new Map<string, StoreSeries>();

  get series(): Iterable<StoreSeries> {
    return this.#series.values();
  }

  /** `key` below a root of one folder, as `/registry/pods/default/web`. */
  observe(operation: StoreOperation, key: string, seconds: number, failed: boolean): void {
    const folder = folderOf(key);
    const id = `${operation} ${folder}`;
    let series = this.#series.get(id);
    if (series === undefined)
      this.#series.set(id, (series = { operation, folder, seconds: new Distribution(bounds), errors: 0 }));
    series.seconds.observe(seconds);
    if (failed) series.errors++;
  }
}

/** Folders below which the second one belongs to the name: groups, and the two kinds that upstream keeps under `services`. */
function folderOf(key: string): string {
  const start = key.indexOf('/', 1) + 1;
  let end = key.indexOf('/', start);
  if (end < 0) return key.slice(start);
  const first = key.slice(start, end);
  if (first !== 'services' && !first.includes('.')) return first;
  end = key.indexOf('/', end + 1);
  return end < 0 ? key.slice(start) : key.slice(start, end);
}
