import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { RestClient } from '@pilothouse/client';
import { ensurePki } from '@pilothouse/host';
import { writeKubeconfigs } from './kubeconfigs.ts';
import { savePki } from './pki-secrets.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'pki-secrets-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Keys of each Secret that is written for the PKI, by name. */
async function saved(consoleHosts: readonly string[]): Promise<Map<string, string[]>> {
  const pki = await ensurePki(directory, { consoleHosts });
  const kubeconfigs = path.join(directory, 'kubeconfig');
  writeKubeconfigs(kubeconfigs, pki, () => 'https://api.example:6443');
  const keys = new Map<string, string[]>();
  const patch = (_: unknown, name: string, { data }: { data: Record<string, string> }): void =>
    void keys.set(name, Object.keys(data).sort());
  await savePki({ patch } as unknown as RestClient, 'inner', 'x', directory, kubeconfigs);
  return keys;
}

test('each component has a Secret with its files; the console only where it has a certificate', async () => {
  const without = await saved([]);
  assert.deepEqual([...without.keys()].sort(), [
    'x-admin',
    'x-apiserver',
    'x-controller-manager',
    'x-pki',
    'x-scheduler',
    'x-store',
  ]);
  assert.deepEqual((await saved(['console.example'])).get('x-console'), [
    'ca.crt',
    'console.crt',
    'console.key',
    'etcd__ca.crt',
    'etcd__client.crt',
    'etcd__client.key',
  ]);
});
