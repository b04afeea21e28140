import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { silentLogger } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import { parseConfig } from '../config.ts';
import { startStore, type StoreServer } from '../server.ts';
import { ConformanceClient } from './rpc/conformance.ts';

/** What cannot exist here; docs/operations/monitoring.md says why for each. A name that ends in `*` stands for all that begin so. */
const absent = [
  'etcd_debugging_disk_backend_commit_rebalance_duration_seconds',
  'etcd_debugging_disk_backend_commit_spill_duration_seconds',
  'etcd_debugging_disk_backend_commit_write_duration_seconds',
  'etcd_debugging_snap_save_marshalling_duration_seconds',
  'etcd_debugging_store_*',
  'etcd_disk_wal_write_duration_seconds',
  'etcd_grpc_proxy_*',
  'etcd_network_server_stream_failures_total',
  'etcd_server_go_version',
  'go_*',
];
const isAbsent = (name: string): boolean =>
  absent.some((each) => (each.endsWith('*') ? name.startsWith(each.slice(0, -1)) : name === each));

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-metrics-'));
let server: StoreServer | undefined;
after(async () => {
  await server?.close();
  fs.rmSync(directory, { recursive: true });
});

const bytes = (text: string): Uint8Array => Buffer.from(text);

test('every metric of a stock etcd is there with its type, or stands in the list of those that cannot be', async () => {
  const parsed = parseConfig(
    [
      `--data-dir=${directory}/data`,
      '--listen-client-urls=http://127.0.0.1:0',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:0',
      '--initial-advertise-peer-urls=http://127.0.0.1:2380',
      '--initial-cluster=default=http://127.0.0.1:2380',
    ],
    {},
  );
  assert.ok(parsed.kind === 'config');
  server = await startStore(parsed.config, { logger: silentLogger, processMetrics: true });
  await server.ready;
  const url = server.clientUrls[0] as string;
  const client = new ConformanceClient(url.replace('http://', ''));
  const { KVService, AuthService } = etcdserverpb;
  await client.ok(KVService.Put, { key: bytes('a'), value: bytes('1') });
  await client.ok(KVService.Range, { key: bytes('a') });
  await client.try(AuthService.AuthEnable, {});
  await (await fetch(`${url}/readyz`)).text();
  const text = await (await fetch(`${url}/metrics`)).text();
  client.close();
  const ours = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  const list = fs.readFileSync(new URL('testdata/metrics-of-etcd.txt', import.meta.url), 'utf8');
  const guide = new URL('../../../../docs/operations/monitoring.md', import.meta.url);
  const document = fs.readFileSync(guide, 'utf8');
  const wrong: string[] = [];
  for (const line of list.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
    const [name = '', type] = line.split(' ');
    if (isAbsent(name) === ours.has(name)) wrong.push(`${name} is ${ours.has(name) ? 'there' : 'missing'}`);
    else if (ours.has(name) && ours.get(name) !== type)
      wrong.push(`${name} is a ${ours.get(name)}, not a ${type}`);
  }
  for (const name of absent) if (!document.includes(`\`${name}\``)) wrong.push(`${name} has no reason`);
  assert.deepEqual(wrong, []);
  for (const line of [
    'grpc_server_msg_received_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"} 1',
    'grpc_server_msg_sent_total{grpc_type="unary",grpc_service="etcdserverpb.Auth",grpc_method="AuthEnable"} 0',
    'grpc_server_started_total{grpc_type="bidi_stream",grpc_service="etcdserverpb.Watch",grpc_method="Watch"} 0',
    'etcd_server_apply_duration_seconds_count{version="v3",op="Put",success="true"} 1',
    'etcd_server_apply_duration_seconds_count{version="v3",op="AuthEnable",success="false"} 1',
    'etcd_server_range_duration_seconds_count{success="true"} 1',
    'etcd_server_healthchecks_total{type="readyz",name="linearizable_read",status="success"} 1',
    'etcd_server_feature_enabled{name="InitialCorruptCheck",stage="ALPHA"} 0',
  ])
    assert.ok(text.includes(`${line}\n`), line);
});
