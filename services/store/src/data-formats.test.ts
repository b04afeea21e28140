import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import { silentLogger } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import { parseConfig } from './config.ts';
import { restoreStore } from './io/backup/restore.ts';
import { ConformanceClient } from './io/rpc/conformance.ts';
import { startStore } from './server.ts';

// Data directories and backups as releases wrote them (tests/data-formats/<release>): every later version must open them. In each,
// key-1 was written and changed, key-2 written, key-3 written and deleted, and a lease granted: the revision is 6.
const recorded = fileURLToPath(new URL('../../../tests/data-formats/', import.meta.url));
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-formats-'));
after(() => fs.rmSync(scratch, { recursive: true, force: true }));

async function expectContents(dataDir: string, name: string, revisionAtLeast: number): Promise<void> {
  const client = 'http://127.0.0.1:0';
  const parsed = parseConfig(
    [
      `--name=${name}`,
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${client}`,
      '--advertise-client-urls=http://127.0.0.1:32901',
      '--listen-peer-urls=http://127.0.0.1:0',
      '--initial-advertise-peer-urls=http://127.0.0.1:32902',
      `--initial-cluster=${name}=http://127.0.0.1:32902`,
    ],
    {},
  );
  assert.ok(parsed.kind === 'config');
  const server = await startStore(parsed.config, { logger: silentLogger });
  try {
    await server.ready;
    const port = new URL(server.clientUrls[0] ?? '').port;
    const kv = new ConformanceClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const { kvs, header } = await kv.ok(etcdserverpb.KVService.Range, {
      key: Buffer.from('key-'),
      rangeEnd: Buffer.from('key.'),
    });
    kv.close();
    assert.deepEqual(
      kvs.map((each) => `${Buffer.from(each.key)}=${Buffer.from(each.value)}`),
      ['key-1=changed', 'key-2=value-2'],
    );
    assert.ok(Number(header?.revision) >= revisionAtLeast);
  } finally {
    await server.close();
  }
}

for (const release of fs.readdirSync(recorded).sort()) {
  test(`data directories and backups of ${release} open`, async () => {
    const directory = path.join(scratch, release);
    fs.mkdirSync(directory);
    execFileSync('tar', ['-xzf', path.join(recorded, release, 'data.tar.gz'), '-C', directory]);
    await expectContents(path.join(directory, 'data'), 'm0', 6);

    const source = path.join(directory, 'backup.db');
    fs.writeFileSync(source, zlib.gunzipSync(fs.readFileSync(path.join(recorded, release, 'backup.db.gz'))));
    const dataDir = path.join(directory, 'restored');
    await restoreStore({
      source,
      dataDir,
      name: 'm0',
      initialCluster: new Map([['m0', ['http://127.0.0.1:32902']]]),
      initialClusterToken: 'etcd-cluster',
      bumpRevision: 1000,
      skipHashCheck: false,
    });
    await expectContents(dataDir, 'm0', 1006);
  });
}
