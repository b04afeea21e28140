import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { grpcCode } from '@pilothouse/etcd-client';
import type { EtcdClient } from '@pilothouse/etcd-client';
import { etcdserverpb } from '@pilothouse/proto';
import { storageLimits } from '../limits.ts';

const encoder = new TextEncoder();
const compactKey = encoder.encode('compact_rev_key');

/**
 * Compacts the store's history every few minutes to the revision of one period ago, so that watches and list pages of that age still
 * work. All API servers of a cluster take part; the version of `compact_rev_key` makes one of them win each round, in the way
 * upstream does, so that both can share a store.
 */
export class Compactor {
  readonly #client: EtcdClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #periodMs: number;
  #version = 0;
  #revision = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    client: EtcdClient,
    clock: Clock,
    logger: Logger,
    periodMs: number = storageLimits.compactionPeriodMs,
  ) {
    this.#client = client;
    this.#clock = clock;
    this.#logger = logger;
    this.#periodMs = periodMs;
  }

  start(): void {
    if (this.#periodMs <= 0) return;
    this.#timer = this.#clock.setInterval(() => void this.round(), this.#periodMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** One round: remembers the present revision and compacts to that of the last round, if nobody else did meanwhile. */
  async round(): Promise<void> {
    try {
      const answer = await this.#client.kv.txn({
        compare: [
          {
            result: etcdserverpb.Compare_CompareResult.EQUAL,
            target: etcdserverpb.Compare_CompareTarget.VERSION,
            key: compactKey,
            version: this.#version,
          },
        ],
        success: [{ requestPut: { key: compactKey, value: encoder.encode(String(this.#revision)) } }],
        failure: [{ requestRange: { key: compactKey } }],
      });
      const previous = this.#revision;
      this.#revision = answer.header?.revision ?? 0;
      if (!answer.succeeded) {
        this.#version = answer.responses[0]?.responseRange?.kvs[0]?.version ?? 0;
        return;
      }
      this.#version++;
      if (previous === 0 || this.#stopped) return;
      await this.#client.kv.compact({ revision: previous });
      this.#logger.debug('Compacted the history of the store', { revision: previous });
    } catch (error) {
      const status = (error as { grpcStatus?: number }).grpcStatus;
      if (status !== grpcCode.outOfRange) {
        this.#logger.warn('Cannot compact the history of the store', { error: errorMessage(error) });
      }
    }
  }
}
