import { after, before, test } from 'node:test';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { silentLogger } from '@pilothouse/base';
import { parseConfig } from '../../config.ts';
import { startStore, type StoreServer } from '../../server.ts';
import { ConformanceClient, rpcConformance } from './conformance.ts';

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

for (const { name, run } of rpcConformance) test(name, () => run(client));
