import type { EtcdClient, Watch } from '@pilothouse/etcd-client';
import { prefixEnd } from '@pilothouse/etcd-client';
import type { mvccpb } from '@pilothouse/proto';
import type { GotEvent, GotItem, SeededRandom, WatchSegment, WatchShape } from '@pilothouse/testkit';
import { pause } from '../cluster/cluster.ts';
import { keyPrefix } from './history.ts';
import type { History } from './history.ts';

export interface WatchClientOptions {
  /** The first is open to all members, the others to one each. */
  readonly clients: () => readonly EtcdClient[];
  readonly shape: WatchShape;
  readonly random: SeededRandom;
  readonly history: History;
  /** Whether answers to progress requests can be trusted. */
  readonly asksForProgress: boolean;
  readonly isDone: () => boolean;
}

const text = (value: Uint8Array): string => Buffer.from(value).toString();

function gotEvent({ type, kv, prevKv }: mvccpb.Event): GotEvent {
  if (!kv) throw new Error('An event without a key');
  const isDelete = Number(type) === 1;
  return {
    revision: kv.modRevision,
    kind: isDelete ? 'delete' : 'put',
    key: text(kv.key),
    value: isDelete ? undefined : text(kv.value),
    createRevision: kv.createRevision,
    version: kv.version,
    previous: prevKv && { value: text(prevKv.value), modRevision: prevKv.modRevision },
  };
}

type Segment = WatchSegment & { readonly items: GotItem[]; startRevision: number };

/** Watches, moves to another member now and then, and goes on from the revision after the last that it saw or was told of. */
export class WatchClient {
  readonly shape: WatchShape;
  readonly segments: Segment[] = [];
  readonly #options: WatchClientOptions;
  #watch: Watch | undefined;
  #etcd: EtcdClient | undefined;
  /** 0: from now on. */
  #next = 0;
  problem: string | undefined;

  constructor(options: WatchClientOptions) {
    this.#options = options;
    this.shape = options.shape;
  }

  /** The first revision not yet accounted for. */
  get next(): number {
    return this.#next;
  }

  async run(): Promise<void> {
    const { random, isDone, asksForProgress } = this.#options;
    this.#next = random.chance(0.5) ? 0 : 1;
    this.#attach();
    while (!isDone()) {
      await pause(150 + random.integer(300));
      if (this.#watch === undefined || random.chance(0.06)) this.#attach();
      else if (asksForProgress && random.chance(0.3)) this.#etcd?.watcher.requestProgress();
    }
  }

  /** Begins again at whatever member serves; a watch bound to one that has left cannot go on there. */
  reattach(): void {
    this.#attach(this.#options.clients()[0]);
  }

  askForProgress(): void {
    this.#etcd?.watcher.requestProgress();
  }

  #attach(given?: EtcdClient): void {
    const { clients, random, history, shape } = this.#options;
    this.#watch?.cancel();
    const etcd = given ?? random.pick(clients());
    this.#etcd = etcd;
    const segment: Segment = {
      where: etcd.endpoints.join(),
      startRevision: this.#next,
      isResumed: this.segments.length > 0,
      items: [],
    };
    this.segments.push(segment);
    const key = Buffer.from(shape.key ?? keyPrefix);
    let isCurrent = true;
    const watch = etcd.watcher.watch(
      {
        key,
        ...(shape.key === undefined ? { rangeEnd: prefixEnd(key) } : {}),
        startRevision: this.#next,
        prevKv: shape.prevKv,
        progressNotify: true,
        filters: shape.filter === undefined ? [] : [shape.filter === 'put' ? 0 : 1],
      },
      {
        onCreated: (revision) => {
          if (segment.startRevision === 0) segment.startRevision = revision + 1;
          if (isCurrent && this.#next === 0) this.#next = revision + 1;
        },
        onEvents: (events, revision) => {
          if (!isCurrent) return;
          segment.items.push({ kind: 'events', events: events.map(gotEvent) });
          this.#next = Math.max(this.#next, (events.at(-1)?.kv?.modRevision ?? 0) + 1);
          history.sight(revision);
        },
        onProgress: (revision) => {
          if (!isCurrent) return;
          segment.items.push({ kind: 'progress', revision });
          this.#next = Math.max(this.#next, revision + 1);
        },
        onEnd: (error) => {
          if (!isCurrent) return;
          isCurrent = false;
          this.#watch = undefined;
          if (error.isCompacted) this.#next = Math.max(this.#next, error.compactRevision ?? 0);
          else if (error.grpcStatus !== 1) this.problem ??= `The watch ended: ${error.message}`;
        },
      },
    );
    this.#watch = {
      cancel: () => {
        isCurrent = false;
        watch.cancel();
      },
    };
  }

  close(): void {
    this.#watch?.cancel();
    this.#watch = undefined;
  }
}
