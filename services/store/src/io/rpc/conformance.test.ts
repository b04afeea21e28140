import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { silentLogger } from '@pilothouse/base';
import { parseConfig } from '../../config.ts';
import { startStore, type StoreServer } from '../../server.ts';
import { clusterConformance } from './cluster-conformance.ts';
import { concurrencyConformance } from './concurrency-conformance.ts';
import { ConformanceClient } from './conformance.ts';
import { errorConformance } from './error-conformance.ts';
import { keyConformance } from './key-conformance.ts';
import { watchConformance } from './watch-conformance.ts';

/** Set to `host:port` to run the suite against another etcd, which must be empty and used by nobody else. */
const external = process.env['PILOTHOUSE_ETCD'];
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-conformance-'));
let server: StoreServer | undefined;
let client: ConformanceClient;

before(async () => {
  if (external !== undefined) {
    client = new ConformanceClient(external);
    return;
  }
  const parsed = parseConfig(
    [
      `--data-dir=${directory}`,
      '--name=conformance',
      '--listen-client-urls=http://127.0.0.1:0',
      '--advertise-client-urls=http://127.0.0.1:0',
      '--listen-peer-urls=http://127.0.0.1:0',
      '--initial-advertise-peer-urls=http://127.0.0.1:0',
      '--heartbeat-interval=20',
      '--election-timeout=100',
    ],
    {},
  );
  if (parsed.kind !== 'config') throw new Error('unexpected');
  server = await startStore(parsed.config, { logger: silentLogger });
  await server.ready;
  client = new ConformanceClient((server.clientUrls[0] as string).replace('http://', ''));
});

after(async () => {
  client.close();
  await server?.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

for (const { name, run } of [
  ...keyConformance,
  ...watchConformance,
  ...clusterConformance,
  ...concurrencyConformance,
  ...errorConformance,
])
  test(name, () => run(client));

test(
  'the JSON gateway, health and version answer on the same port',
  { skip: external !== undefined },
  async () => {
    const base = server?.clientUrls[0] as string;
    const post = async (
      path: string,
      body: unknown,
    ): Promise<{ status: number; json: Record<string, unknown> }> => {
      const response = await fetch(`${base}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
      return { status: response.status, json: (await response.json()) as Record<string, unknown> };
    };
    const key = Buffer.from('gateway').toString('base64');
    assert.equal((await post('kv/put', { key, value: key })).status, 200);
    const { json } = await post('kv/range', { key });
    assert.equal(json['count'], '1');
    const [kv] = json['kvs'] as Record<string, unknown>[];
    assert.deepEqual(
      [kv?.['key'], kv?.['value'], kv?.['version'], kv?.['lease']],
      [key, key, '1', undefined],
    );
    assert.deepEqual(await post('kv/put', {}), {
      status: 400,
      json: { code: 3, message: 'etcdserver: key is not provided' },
    });
    assert.deepEqual(await post('nothing', {}), { status: 404, json: { code: 5, message: 'Not Found' } });
    assert.equal((await post('kv/put', { key: 5 })).status, 400);
    const watch = await fetch(`${base}/v3/watch`, {
      method: 'POST',
      body: JSON.stringify({ create_request: { key, start_revision: String(kv?.['mod_revision']) } }),
    });
    const reader = (watch.body as ReadableStream<Uint8Array>).getReader();
    let lines = '';
    while (lines.split('\n').length < 3) lines += Buffer.from((await reader.read()).value ?? []).toString();
    await reader.cancel();
    assert.match(lines, /"created":true/);
    assert.match(lines, /"events":\[\{"kv":\{"key"/);
    assert.deepEqual(await (await fetch(`${base}/health`)).json(), { health: 'true', reason: '' });
    assert.equal(
      ((await (await fetch(`${base}/version`)).json()) as Record<string, string>)['etcdserver'],
      '3.7.1',
    );
    assert.match(await (await fetch(`${base}/readyz?verbose`)).text(), /\[\+\]linearizable_read ok/);
    const name = Buffer.from('gateway-lock').toString('base64');
    const locked = await post('lock/lock', { name });
    assert.equal(locked.status, 200);
    assert.equal((await post('lock/unlock', { key: locked.json['key'] })).status, 200);
    const campaign = await post('election/campaign', { name, value: key });
    assert.equal(campaign.status, 200);
    const leader = (await post('election/leader', { name })).json['kv'] as Record<string, unknown>;
    assert.equal(leader['value'], key);
    assert.equal((await post('election/resign', { leader: campaign.json['leader'] })).status, 200);
    assert.deepEqual(await post('election/leader', { name }), {
      status: 500,
      json: { code: 2, message: 'election: no leader' },
    });
    assert.equal((await fetch(`${base}/health`, { method: 'POST' })).status, 405);
    assert.equal(await (await fetch(`${base}/livez?verbose`)).text(), '[+]serializable_read ok\nok\n');
    assert.match(await (await fetch(`${base}/metrics`)).text(), /^etcd_mvcc_put_total [1-9]/m);
    assert.match(
      await (await fetch(`${base}/metrics`)).text(),
      /grpc_server_handled_total\{.*grpc_method="Put".*grpc_code="OK"\} \d+/,
    );
  },
);
