import type { Clock } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import type { Connection, KubeLike } from './connection.ts';
import { Refused } from './connection.ts';

interface List {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly KubeLike[];
}

/** All pages of a list. */
export async function listAll(
  connection: Connection,
  path: string,
): Promise<{ revision: bigint; items: KubeLike[] }> {
  const items: KubeLike[] = [];
  let revision = '0';
  let token = '';
  do {
    const page: List = await connection.call<List>(
      'GET',
      `${path}?limit=500${token === '' ? '' : `&continue=${encodeURIComponent(token)}`}`,
      undefined,
      10_000,
    );
    items.push(...page.items);
    revision = page.metadata.resourceVersion;
    token = page.metadata.continue ?? '';
  } while (token !== '');
  return { revision: BigInt(revision), items };
}

/** A list-and-watch client that resumes where it was, and lists anew only when it is told to. */
export class Watcher {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #onList: (revision: bigint, items: readonly KubeLike[]) => void;
  readonly #onEvent: (type: string, object: KubeLike) => void;
  readonly #abort = new AbortController();
  /** The newest revision that it has seen. */
  revision = 0n;
  #running: Promise<void> | undefined;

  constructor(options: {
    readonly connection: Connection;
    readonly clock: Clock;
    readonly path: string;
    onList(revision: bigint, items: readonly KubeLike[]): void;
    onEvent(type: string, object: KubeLike): void;
  }) {
    this.#connection = options.connection;
    this.#clock = options.clock;
    this.#path = options.path;
    this.#onList = (revision, items) => options.onList(revision, items);
    this.#onEvent = (type, object) => options.onEvent(type, object);
  }

  /** Resolves after the first list, which is tried for so long. */
  async start(withinMs: number): Promise<void> {
    const deadline = this.#clock.monotonic() + withinMs;
    for (;;) {
      try {
        await this.#list();
        break;
      } catch (error) {
        if (this.#clock.monotonic() > deadline) throw error;
        await sleep(this.#clock, 20);
      }
    }
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    this.#connection.close();
  }

  async #list(): Promise<void> {
    const { revision, items } = await listAll(this.#connection, this.#path);
    this.revision = revision;
    this.#onList(revision, items);
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    let isStale = false;
    while (!signal.aborted) {
      try {
        if (isStale) {
          await this.#list();
          isStale = false;
        }
        const path = `${this.#path}?watch=true&allowWatchBookmarks=true&resourceVersion=${this.revision}`;
        for await (const { type, object } of this.#connection.lines(path, signal)) {
          if (type === 'ERROR') {
            isStale = object.code === 410;
            break;
          }
          if (type !== 'BOOKMARK') this.#onEvent(type, object);
          const revision = BigInt(object.metadata.resourceVersion);
          if (revision > this.revision) this.revision = revision;
        }
      } catch (error) {
        if (error instanceof Refused && error.status === 410) isStale = true;
      }
      if (!signal.aborted) await sleep(this.#clock, 20);
    }
  }
}
