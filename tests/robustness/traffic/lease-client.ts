import type { EtcdClient } from '@pilothouse/etcd-client';
import type { SeededRandom } from '@pilothouse/testkit';
import { pause } from '../cluster/cluster.ts';
import { keyPrefix } from './history.ts';
import type { History, LeaseRecord } from './history.ts';

export interface LeaseClientOptions {
  readonly client: number;
  readonly etcd: EtcdClient;
  readonly random: SeededRandom;
  readonly history: History;
  readonly isDone: () => boolean;
}

/** Grants a lease, hangs a key on it, renews it for a while and then lets it go, by revoking or by silence. */
export async function runLeaseClient(options: LeaseClientOptions): Promise<void> {
  const { client, etcd, random, history, isDone } = options;
  for (let turn = 1; !isDone(); turn++) {
    await pause(100 + random.integer(200));
    const key = `${keyPrefix}lease/${client}-${turn}`;
    const call = performance.now();
    let lease: LeaseRecord;
    try {
      const { ID, TTL, error } = await etcd.lease.grant(2 + random.integer(3), 0n, { timeoutMs: 3000 });
      if (error !== '') throw new Error(error);
      lease = {
        id: ID,
        key,
        ttlMs: TTL * 1000,
        renewals: [{ call, end: performance.now() }],
        revokedAt: undefined,
        isAttached: false,
        isForgotten: false,
      };
    } catch {
      history.failed++;
      continue;
    }
    const value = `${client}-${turn}`;
    const write = { client, call: performance.now(), effects: [{ key, value }] };
    try {
      const request = { key: Buffer.from(key), value: Buffer.from(value), lease: lease.id };
      const revision = (await etcd.kv.put(request, { timeoutMs: 3000 })).header?.revision ?? 0;
      lease.isAttached = true;
      history.sight(revision);
      history.writes.push({ ...write, end: performance.now(), revision });
    } catch {
      history.failed++;
      history.writes.push({ ...write, end: Infinity, revision: undefined });
    }
    history.leases.push(lease);
    const renewals = random.integer(4);
    for (let renewal = 0; renewal < renewals && !isDone(); renewal++) {
      await pause((lease.ttlMs / 3) * (0.5 + random.float()));
      const renewCall = performance.now();
      try {
        if ((await etcd.lease.keepAliveOnce(lease.id, 2000)) === 0) break;
        lease.renewals.push({ call: renewCall, end: performance.now() });
      } catch {
        history.failed++;
      }
    }
    if (random.chance(0.25)) {
      lease.revokedAt = performance.now();
      await etcd.lease.revoke(lease.id, { timeoutMs: 3000 }).catch(() => history.failed++);
    }
    lease.isForgotten = true;
  }
}
