import { createEtcdClient } from '@pilothouse/etcd-client';
import type { EtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { SeededRandom, watchGuarantees } from '@pilothouse/testkit';
import {
  checkAcknowledged,
  checkExplained,
  checkLeases,
  checkLinearizable,
  checkOrder,
  checkReads,
} from './check/check-history.ts';
import { checkWatcher } from './check/check-watches.ts';
import { Truth } from './check/truth.ts';
import { Cluster, pause } from './cluster/cluster.ts';
import { gatewayCall } from './cluster/gateway.ts';
import type { Target } from './cluster/target.ts';
import type { Fault } from './faults/index.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import { History, keyPrefix } from './traffic/history.ts';
import { KvClient } from './traffic/kv-client.ts';
import { runLeaseClient } from './traffic/lease-client.ts';
import { WatchClient } from './traffic/watch-client.ts';

export interface RoundOptions {
  readonly seed: number;
  readonly sandbox: Sandbox;
  readonly target: Target;
  readonly faults: readonly Fault[];
  /** Members; default by the seed 3 or 5. */
  readonly size: number | undefined;
  readonly basePort: number;
  readonly note: (text: string) => void;
}

export interface RoundReport {
  /** Name of each check, and what is wrong; undefined: it holds. */
  readonly checks: ReadonlyMap<string, string | undefined>;
  readonly size: number;
  readonly writes: number;
  readonly reads: number;
  readonly failed: number;
  readonly events: number;
  readonly watched: number;
  readonly leases: number;
}

const keyCount = 6;
const kvClients = 8;
const leaseClients = 3;
const watchClients = 8;

/** One cluster: starts it, loads it, breaks it, heals it, checks everything, ends it. */
export async function runRound(options: RoundOptions): Promise<RoundReport> {
  const { seed, sandbox, target, note } = options;
  const random = new SeededRandom(seed);
  const size = options.size ?? random.pick([3, 3, 5]);
  const snapshotCount = random.pick([50, 200, 1000, 10_000]);
  const catchUp = random.pick([10, 100, 1000]);
  const isClockNeeded = options.faults.some(({ needs }) => needs.includes('clock'));
  const checks = new Map<string, string | undefined>();
  const result = (name: string, problem: string | undefined): void => {
    if (!checks.has(name) || checks.get(name) === undefined) checks.set(name, problem);
  };
  const history = new History();
  const truth = new Truth();
  const clients: EtcdClient[] = [];
  let watchers: WatchClient[] = [];
  let isDone = false;
  await sandbox.startRound(seed);
  const cluster = new Cluster({
    sandbox,
    target,
    size,
    hasFakeClock: isClockNeeded && sandbox.faketimeLibrary !== undefined,
    flags: target.flags({ snapshotCount, catchUp }),
    basePort: options.basePort,
  });
  const connect = (endpoints: readonly string[]): EtcdClient => {
    const client = createEtcdClient({ endpoints, clock: nodeClock, random: nodeRandom });
    clients.push(client);
    return client;
  };
  try {
    await cluster.start();
    const urls = cluster.members.map(({ clientUrl }) => clientUrl);
    note(`${size} members serve, snapshots every ${snapshotCount} entries`);
    const all = connect(urls);
    const single = urls.map((url) => connect([url]));
    const anywhere = [all, ...single];
    const keys = Array.from({ length: keyCount }, (_, at) => `${keyPrefix}k${at}`);
    const shared = { history, isDone: () => isDone };
    const work: Promise<void>[] = [];
    for (let client = 0; client < kvClients; client++) {
      const etcd = anywhere[client % anywhere.length] as EtcdClient;
      const thinkMs = 10 + random.integer(60);
      work.push(new KvClient({ ...shared, client, etcd, keys, thinkMs, random: random.fork() }).run());
    }
    for (let client = 0; client < leaseClients; client++)
      work.push(runLeaseClient({ ...shared, client, etcd: all, random: random.fork() }));
    watchers = Array.from(
      { length: watchClients },
      (_, at) =>
        new WatchClient({
          ...shared,
          // A stream of its own for each: one watch's state must not hide another's.
          clients: (() => {
            const own = [connect(urls), ...urls.map((url) => connect([url]))];
            return () => own;
          })(),
          shape: {
            key: at % 4 === 3 ? random.pick(keys) : undefined,
            prevKv: at % 2 === 0,
            filter: at % 4 === 1 ? random.pick(['put', 'delete'] as const) : undefined,
          },
          asksForProgress: !target.exceptions.has('manualProgress'),
          random: random.fork(),
        }),
    );
    const watching = watchers.map((watcher) => watcher.run());

    const saveTruth = async (): Promise<number> => {
      const { header } = await all.kv.range({ key: Buffer.from(keyPrefix) }, { timeoutMs: 5000 });
      await truth.readUpTo(all, header?.revision ?? 0);
      return truth.revision;
    };
    let compacted = 0;
    const context = {
      sandbox,
      cluster,
      random: random.fork(),
      note,
      saveTruth,
      violated: (check: string, text: string) => result(check, text),
      compacted: (revision: number) => (compacted = Math.max(compacted, revision)),
    };
    await pause(1000);
    for (const fault of options.faults) {
      try {
        await fault.strike(context);
      } catch (error) {
        result('faults', `${fault.name}: ${String(error)}`);
      }
      if (fault.name.startsWith('corrupt')) result('corruption', undefined);
      await sandbox.calmNetwork();
      await pause(700);
    }

    note('everything is healed');
    for (const member of cluster.members) if (member.isPaused) member.resume();
    for (const member of cluster.members) member.start();
    try {
      await cluster.healthy(30_000);
      result('liveness', undefined);
    } catch (error) {
      result('liveness', String(error));
      return report();
    }
    await pause(1000);
    isDone = true;
    await Promise.all([...work, ...watching]);
    await untilLeasesEnd(all, history);
    await settle(all, keys, history);
    const last = await saveTruth();
    note(`reading the history up to revision ${last}`);
    await Promise.all(watchers.map((watcher) => catchUpWatch(watcher, truth, cluster, note)));
    result('members agree', await compareHashes(cluster, last));
    result('no acknowledged write lost', checkAcknowledged(history, truth));
    result('every event explained', checkExplained(history, truth));
    result('reads', checkReads(history, truth));
    result('strict serializability', checkOrder(history, truth));
    result('linearizability', checkLinearizable(history));
    result('leases', checkLeases(history, truth, target.leaseSlackMs));
    for (const guarantee of watchGuarantees) result(`watch ${guarantee}`, undefined);
    for (const watcher of watchers) {
      for (const { guarantee, text } of checkWatcher(watcher, truth, compacted))
        result(`watch ${guarantee}`, text);
      if (watcher.problem !== undefined) result('watch resumable', watcher.problem);
      const missing = missingEvent(watcher, truth);
      if (missing !== undefined) result('watch reliable', missing);
    }
    return report();
  } catch (error) {
    result('round', error instanceof Error ? (error.stack ?? error.message) : String(error));
    return report();
  } finally {
    isDone = true;
    for (const watcher of watchers) watcher.close();
    for (const client of clients) client.close();
    await cluster.kill();
    await sandbox.endRound();
  }

  function report(): RoundReport {
    return {
      checks,
      size,
      writes: history.writes.length,
      reads: history.reads.length,
      failed: history.failed,
      events: truth.events.length,
      watched: watchers.reduce(
        (sum, { segments }) =>
          sum +
          segments.reduce(
            (count, { items }) =>
              count +
              items.reduce((inner, item) => inner + (item.kind === 'events' ? item.events.length : 0), 0),
            0,
          ),
        0,
      ),
      leases: history.leases.length,
    };
  }
}

/** Waits until no lease is left; those that stay are found by the check. */
async function untilLeasesEnd(etcd: EtcdClient, history: History): Promise<void> {
  const deadline = performance.now() + 20_000;
  const key = Buffer.from(`${keyPrefix}lease/`);
  const rangeEnd = Buffer.from(`${keyPrefix}lease0`);
  while (performance.now() < deadline) {
    try {
      const { count, header } = await etcd.kv.range({ key, rangeEnd, countOnly: true }, { timeoutMs: 3000 });
      history.sight(header?.revision ?? 0);
      if (count === 0) return;
    } catch {
      // The next one tells.
    }
    await pause(100);
  }
}

/** A last put and delete of each key, so that every watcher has something to wait for. */
async function settle(etcd: EtcdClient, keys: readonly string[], history: History): Promise<void> {
  for (const key of keys) {
    for (const value of ['last', undefined]) {
      const call = performance.now();
      const bytes = Buffer.from(key);
      const unique = value === undefined ? undefined : `${value}-${key}`;
      const { header } =
        unique === undefined
          ? await etcd.kv.deleteRange({ key: bytes }, { timeoutMs: 5000 })
          : await etcd.kv.put({ key: bytes, value: Buffer.from(unique) }, { timeoutMs: 5000 });
      const revision = header?.revision ?? 0;
      history.writes.push({
        client: -1,
        call,
        end: performance.now(),
        effects: [{ key, value: unique }],
        revision,
      });
    }
  }
}

function lastWanted(watcher: WatchClient, truth: Truth): number {
  const { key, filter } = watcher.shape;
  const events = key === undefined ? truth.events : truth.eventsOf(key);
  return events.findLast(({ kind }) => kind !== filter)?.revision ?? 0;
}

function missingEvent(watcher: WatchClient, truth: Truth): string | undefined {
  const revision = lastWanted(watcher, truth);
  if (watcher.next > revision) return undefined;
  return `The watch at ${watcher.segments.at(-1)?.where ?? ''} stopped before revision ${watcher.next}, the history goes on to ${revision}`;
}

/** Gives a watch time to see everything. */
async function catchUpWatch(
  watcher: WatchClient,
  truth: Truth,
  cluster: Cluster,
  note: (text: string) => void,
): Promise<void> {
  void cluster;
  const wanted = lastWanted(watcher, truth);
  const deadline = performance.now() + 6000;
  let isReattached = false;
  while (watcher.next <= wanted && performance.now() < deadline) {
    await pause(100);
    // A watch bound to a member that has left can only go on elsewhere.
    if (!isReattached && performance.now() > deadline - 4000) {
      note(`a watch is late: at ${watcher.next} of ${wanted}, it begins again`);
      watcher.reattach();
      isReattached = true;
    }
  }
}

interface HashReply {
  readonly hash: number;
  readonly compact_revision?: string;
  readonly header: { readonly revision: string };
}

/** All members hash the same history to the same value. */
async function compareHashes(cluster: Cluster, revision: number): Promise<string | undefined> {
  const found = new Map<string, string>();
  for (const member of cluster.members) {
    for (let attempt = 0; ; attempt++) {
      const body = { revision: String(revision) };
      // Before 3.6 the call had the path of its older sister.
      const kv = await gatewayCall<HashReply>(member.clientUrl, 'maintenance/hashkv', body)
        .catch(() => gatewayCall<HashReply>(member.clientUrl, 'maintenance/hash', body))
        .catch(() => undefined);
      if (kv) {
        found.set(member.name, `${kv.hash} (compacted ${kv.compact_revision ?? '-1'})`);
        break;
      }
      if (attempt >= 10) return `${member.name} does not tell its hash at revision ${revision}`;
      await pause(300);
    }
  }
  if (new Set(found.values()).size <= 1) return undefined;
  return `Members differ at revision ${revision}: ${[...found].map(([name, hash]) => `${name} ${hash}`).join(', ')}`;
}
