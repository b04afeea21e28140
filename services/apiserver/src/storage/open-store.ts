import type { Clock, Logger, Random } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import type { EtcdTls } from '@pilothouse/etcd-client';
import { createEtcdClient } from '@pilothouse/etcd-client';
import type { FileWatcher } from '@pilothouse/host';
import type { ApiServerConfig } from '../config.ts';
import { followStoreFiles } from '../credential-files.ts';
import { given } from '../flag-values.ts';
import type { MetricSources } from '../metrics/resource-metrics.ts';
import { StoreCalls } from '../metrics/store-calls.ts';
import type { ActiveExchange } from '../request/active-exchange.ts';
import { Compactor } from './etcd/compactor.ts';
import { EtcdKeyValueStore } from './etcd/etcd-key-value-store.ts';
import type { KeyValueStore } from './key-value-store.ts';
import { MemoryKeyValueStore } from './memory/memory-key-value-store.ts';

const storeAttemptMs = 1000;

/** The store of the configuration; `ready` instead, where there is one. Nothing is asked of it yet. */
export function openStore(
  config: ApiServerConfig,
  ready: KeyValueStore | undefined,
  options: {
    clock: Clock;
    random: Random;
    logger: Logger;
    closers: (() => void | Promise<void>)[];
    watcher: FileWatcher;
    active: ActiveExchange | undefined;
  },
): {
  store: KeyValueStore;
  compact?: Compactor;
  metrics?: Pick<MetricSources, 'calls' | 'storeBytes'>;
  /** Why the store was not reached last. */
  problem?: () => string | undefined;
} {
  const { clock, random, logger, active } = options;
  if (ready) return { store: ready };
  const { endpoints, caPem, certPem, keyPem, compactionIntervalMs } = config.store;
  const current: { tls: EtcdTls | undefined } = {
    tls:
      caPem === undefined && certPem === undefined
        ? undefined
        : { ...given('ca', caPem), ...given('cert', certPem), ...given('key', keyPem) },
  };
  if (endpoints.length === 0) {
    logger.warn('No --etcd-servers: objects live in memory and end with this process');
    return { store: new MemoryKeyValueStore({ now: () => clock.now() }) };
  }
  followStoreFiles(config.credentialFiles.store, options.watcher, current);
  const client = createEtcdClient({
    endpoints,
    clock,
    random,
    logger,
    ...(current.tls === undefined ? {} : { tls: () => current.tls ?? {} }),
  });
  options.closers.push(() => client.close());
  const calls = new StoreCalls();
  return {
    store: new EtcdKeyValueStore({
      client,
      clock,
      calls,
      ...(active === undefined ? {} : { span: () => active.span }),
    }),
    metrics: {
      calls,
      storeBytes: async () => (await client.status(endpoints[0], { timeoutMs: storeAttemptMs })).dbSize,
    },
    problem: () => client.lastProblem,
    compact: new Compactor(client, clock, logger, compactionIntervalMs),
  };
}

/** The store may come up after the server. */
export async function waitForStore(
  store: KeyValueStore,
  endpoints: readonly string[],
  problem: (() => string | undefined) | undefined,
  clock: Clock,
  logger: Logger,
): Promise<void> {
  // An attempt takes many seconds until it fails; the operator should know sooner.
  const early = clock.setTimeout(
    () => logger.warn('Waiting for the store', { 'etcd-servers': endpoints.join(), reason: problem?.() }),
    storeAttemptMs,
  );
  try {
    for (;;) {
      try {
        await store.get('/registry/health');
        return;
      } catch (error) {
        logger.warn('Waiting for the store', { error: problem?.() ?? errorMessage(error) });
        await sleep(clock, storeAttemptMs);
      }
    }
  } finally {
    early.cancel();
  }
}
