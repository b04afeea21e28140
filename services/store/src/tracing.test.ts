import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import { OtlpCollector } from '@pilothouse/testkit';
import { parseConfig } from './config.ts';
import { ConformanceClient } from './io/rpc/conformance.ts';
import { startStore } from './server.ts';

const { KVService } = etcdserverpb;
const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

test('calls of a recorded caller are spans of its trace, with what they wait for consensus', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-tracing-'));
  const collector = new OtlpCollector();
  await collector.start();
  const flags = [
    `--data-dir=${directory}`,
    '--listen-client-urls=http://127.0.0.1:0',
    '--advertise-client-urls=http://127.0.0.1:1',
    '--listen-peer-urls=http://127.0.0.1:0',
    '--enable-distributed-tracing',
    `--distributed-tracing-address=localhost:${collector.port}`,
  ];
  const parsed = parseConfig(flags, {});
  assert.ok(parsed.kind === 'config');
  const server = await startStore(parsed.config, { logger: silentLogger });
  await server.ready;
  const client = new ConformanceClient(new URL(server.clientUrls[0] as string).host);
  const key = Buffer.from('k');
  const put = await client.try(KVService.Put, { key, value: key }, { traceparent });
  assert.ok('ok' in put);
  await client.try(KVService.Range, { key }, { traceparent });
  await client.try(KVService.Put, { key, value: key }, {});
  const refused = await client.try(KVService.Range, { key: Buffer.alloc(0) }, { traceparent });
  assert.ok('code' in refused);
  client.close();
  await server.close();
  const spans = collector.spans;
  const named = (name: string) => spans.filter((span) => span.name === name);
  assert.equal(named('etcdserverpb.KV/Put').length, 1, 'the call without a caller is not recorded at rate 0');
  assert.equal(named('etcdserverpb.KV/Range').length, 2);
  assert.equal(named('raft.propose')[0]?.parentId, named('etcdserverpb.KV/Put')[0]?.spanId);
  assert.ok(
    named('etcdserverpb.KV/Range').some((span) => span.spanId === named('raft.readIndex')[0]?.parentId),
  );
  assert.ok(spans.every((span) => span.traceId === traceId && span.service === 'etcd'));
  collector.stop();
  fs.rmSync(directory, { recursive: true, force: true });
});

test('flags that cannot be are named', () => {
  const parse =
    (...flags: string[]) =>
    () =>
      parseConfig(['--enable-distributed-tracing', ...flags], {});
  assert.throws(
    parse('--distributed-tracing-sampling-rate=1000001'),
    /--distributed-tracing-sampling-rate: want 0 to 1000000/,
  );
  assert.throws(
    parse('--distributed-tracing-address=nowhere'),
    /--distributed-tracing-address: .*no host and port/,
  );
});
