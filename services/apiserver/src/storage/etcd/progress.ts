import type { EtcdClient } from '@pilothouse/etcd-client';

/**
 * Whether a progress notification of this etcd keeps its promise that all events up to its revision were sent before. Releases
 * before 3.4.31 and 3.5.13 sent it early (etcd issue 15220); upstream's API server asks the same question before it trusts it.
 */
export function isProgressReliable(version: string): boolean {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (!match) return false;
  const [major, minor, patch] = match.slice(1).map(Number) as [number, number, number];
  if (major !== 3) return major > 3;
  if (minor === 4) return patch >= 31;
  if (minor === 5) return patch >= 13;
  return minor > 5;
}

/**
 * Makes a watch tell how far it has come. A reliable etcd is asked for progress; with an older one a key below the watched prefix
 * is written instead: its event cannot overtake those before it. One write serves all who ask until it is sent.
 */
export class ProgressSource {
  readonly #client: EtcdClient;
  #reliable: boolean | undefined;
  #detecting: Promise<void> | undefined;
  #writing = false;
  #again = false;

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  /** False until the version is known, and for good when it is an old one. */
  get isReliable(): boolean {
    return this.#reliable === true;
  }

  /** Asks for the version once; a failure leaves the question open for the next call. */
  detect(): Promise<void> {
    if (this.#reliable !== undefined) return Promise.resolve();
    this.#detecting ??= this.#client.status().then(
      (status) => {
        this.#reliable = isProgressReliable(status.version);
      },
      () => {
        this.#detecting = undefined;
      },
    );
    return this.#detecting;
  }

  request(prefix: string): void {
    if (this.isReliable) {
      this.#client.watcher.requestProgress();
      return;
    }
    if (this.#writing) {
      this.#again = true;
      return;
    }
    this.#writing = true;
    const key = new TextEncoder().encode(`${prefix}watch-progress`);
    // A failed write is not repeated here: whoever waits asks again.
    this.#client.kv
      .put({ key, value: new Uint8Array() })
      .catch(() => undefined)
      .finally(() => {
        this.#writing = false;
        if (!this.#again) return;
        this.#again = false;
        this.request(prefix);
      })
      .catch(() => undefined);
  }
}
