import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { MemoryBackend } from '../core/memory-backend.ts';
import { StoreStateMachine } from '../core/index.ts';
import type { LogIndex, Term } from '../core/replication.ts';
import { encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';
import { WorkMetrics } from './work-metrics.ts';

test('what the state machine does shows under the names of etcd', async () => {
  const registry = new Registry();
  const metrics = new WorkMetrics(registry);
  const machine = new StoreStateMachine({ backend: new MemoryBackend() });
  metrics.watch(machine);
  let index = 0;
  const apply = (command: MessageInput<etcdserverpb.InternalRaftRequest>): void => {
    const payload = encodeMessage(etcdserverpb.InternalRaftRequest, command);
    machine.apply({ index: ++index as LogIndex, term: 1 as Term, payload });
  };
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  const stream = machine.watchable.stream({ send: () => false });
  stream.watch(1, {
    key: bytes('a'),
    rangeEnd: new Uint8Array(0),
    startRevision: 2,
    prevKv: false,
    progressNotify: false,
    noPut: false,
    noDelete: false,
  });
  for (const value of ['1', '22', '333']) apply({ put: { key: bytes('a'), value: bytes(value) } });
  machine.watchable.deliver();
  apply({ put: { key: bytes('a'), value: bytes('4444') } });
  apply({ compaction: { revision: 4 } });
  while (machine.store.compactStep(1));
  apply({ leaseGrant: { ID: 5n, TTL: 60 } });
  apply({ leaseRevoke: { ID: 5n } });
  metrics.observe('defragment', 250);
  metrics.observe('compaction', 250);
  const text = await registry.metrics();
  for (const line of [
    'etcd_debugging_mvcc_total_put_size_in_bytes 14',
    'etcd_debugging_mvcc_db_compaction_keys_total 2',
    'etcd_debugging_mvcc_events_total 3',
    'etcd_debugging_mvcc_slow_watcher_total 1',
    'etcd_debugging_lease_granted_total 1',
    'etcd_debugging_lease_revoked_total 1',
    'etcd_debugging_lease_ttl_total_bucket{le="64"} 1',
    'etcd_debugging_lease_ttl_total_bucket{le="32"} 0',
    'etcd_disk_backend_defrag_duration_seconds_sum 0.25',
    'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_sum 250',
    'etcd_server_read_indexes_failed_total 0',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`);
});
