import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ensurePki, FileWatcher, Metrics } from '@pilothouse/host';
import { expectedHashes, notTaken } from './taken.ts';

test('what processes report is compared with the files of the directory', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'taken-'));
  const pki = await ensurePki(directory);
  const watcher = new FileWatcher();
  const follow = (what: string, files: string[]): void =>
    void watcher.follow({
      what,
      files: files.map((file) => path.join(directory, file)),
      apply: (texts) => texts.join(''),
    });
  const metrics = (): string => {
    const all = new Metrics();
    watcher.register(all);
    return all.render();
  };
  const expected = (): Map<string, string> => expectedHashes(directory, 'apiserver', 'apiserver-0');
  assert.deepEqual(
    notTaken(expected(), metrics()),
    ['client-ca-file'],
    'one that tells nothing has taken nothing',
  );
  follow('client-ca-file', ['ca.crt']);
  follow('etcd-cafile', ['etcd/ca.crt', 'apiserver-etcd-client.crt']);
  follow('tls-cert-file', ['apiserver.crt']);
  assert.deepEqual(notTaken(expected(), metrics()), []);
  rmSync(pki.apiServer.certFile);
  await ensurePki(directory);
  assert.deepEqual(notTaken(expected(), metrics()), ['tls-cert-file']);
  watcher.look();
  assert.deepEqual(notTaken(expected(), metrics()), []);
  assert.equal(expectedHashes(directory, 'store', 'store-0').size, 0);
  watcher.close();
  rmSync(directory, { recursive: true });
});
