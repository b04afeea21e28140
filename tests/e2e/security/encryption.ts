import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run, type Checks } from '../checks.ts';
import { Cluster, findEtcd, type Side } from '../etcd/cluster.ts';
import { KmsPlugin } from './kms-plugin.ts';
import { expectStatus, startServer, type ApiServerProcess } from './servers.ts';
import { hasStockServer } from '../stock/programs.ts';

const secretOf = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const canary = 'sensitive-canary-value';

/** One resource for each provider; `*.example.com`-like wildcards by a whole group. */
const rules = [
  { resource: 'secrets', path: '/api/v1/namespaces/default/secrets', prefix: 'k8s:enc:aesgcm:v1:' },
  { resource: 'configmaps', path: '/api/v1/namespaces/default/configmaps', prefix: 'k8s:enc:secretbox:v1:' },
  {
    resource: 'serviceaccounts',
    path: '/api/v1/namespaces/default/serviceaccounts',
    prefix: 'k8s:enc:aescbc:v1:',
  },
  {
    resource: '*.apps',
    path: '/apis/apps/v1/namespaces/default/controllerrevisions',
    prefix: 'k8s:enc:kms:v2:vault:',
  },
] as const;

const storedName: Readonly<Record<string, string>> = { '*.apps': 'controllerrevisions' };

function objectFor(resource: string, name: string): object {
  const metadata = { name, namespace: 'default', annotations: { note: canary } };
  if (resource === '*.apps') {
    return {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata,
      revision: 1,
      data: { note: canary },
    };
  }
  const kinds: Readonly<Record<string, string>> = {
    secrets: 'Secret',
    configmaps: 'ConfigMap',
    serviceaccounts: 'ServiceAccount',
  };
  return { apiVersion: 'v1', kind: kinds[resource], metadata };
}

function configText(plugin: KmsPlugin, keys: readonly string[]): string {
  const providers: Readonly<Record<string, object>> = {
    secrets: { aesgcm: { keys: namedKeys(keys) } },
    configmaps: { secretbox: { keys: namedKeys(keys) } },
    serviceaccounts: { aescbc: { keys: namedKeys(keys) } },
    '*.apps': { kms: { apiVersion: 'v2', name: 'vault', endpoint: plugin.endpoint, timeout: '5s' } },
  };
  return JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: rules.map(({ resource }) => ({
      resources: [resource],
      providers: [providers[resource], { identity: {} }],
    })),
  });
}

function namedKeys(names: readonly string[]): object[] {
  return names.map((name) => ({ name, secret: secretOf(name.charCodeAt(name.length - 1)) }));
}

/** A stock kube-apiserver and ours with the same encryption configuration on one store: each reads what the other wrote. */
export async function encryption(checks: Checks, side: Side, port: number): Promise<void> {
  if (!hasStockServer('encryption')) return;
  const programs = await findEtcd();
  const cluster = await new Cluster({ side, programs, port, size: 1 }).start();
  const directory = path.join(cluster.directory, 'security');
  mkdirSync(directory, { recursive: true });
  const plugin = new KmsPlugin(path.join(directory, 'kms.sock'));
  await plugin.start();
  const configFile = path.join(directory, 'encryption.json');
  const setConfig = (keys: readonly string[]): void => {
    writeFileSync(`${configFile}.new`, configText(plugin, keys), { mode: 0o600 });
    renameSync(`${configFile}.new`, configFile);
  };
  setConfig(['key1', 'key2']);
  const common = { directory, etcd: cluster.endpoints };
  const args = [
    `--encryption-provider-config=${configFile}`,
    '--encryption-provider-config-automatic-reload',
  ];
  const stock = await startServer('stock', { ...common, port: port + 20, args });
  const ours = await startServer('ours', { ...common, port: port + 21, args });
  const checked = (name: string, seconds: number, body: () => Promise<void>): Promise<boolean> =>
    checks.check(`encryption on ${side}: ${name}`, body, seconds * 1000);
  const raw = async (resource: string, name: string): Promise<string> => {
    const folder = storedName[resource] ?? resource;
    const key = `/registry/${folder}/default/${name}`;
    const result = await run(programs.etcdctl, ['--endpoints', cluster.endpoints, 'get', key, '-w', 'json']);
    const value = (JSON.parse(result.stdout) as { kvs?: { value: string }[] }).kvs?.[0]?.value;
    if (value === undefined) throw new Error(`${key} is not in the store`);
    return Buffer.from(value, 'base64').toString('latin1');
  };
  try {
    for (const server of [stock, ours]) {
      await checked(`${server.kind} is ready`, 90, async () => {
        expectStatus(await server.ask('/readyz'), 200);
        expectStatus(await server.ask('/healthz/kms-providers'), 200);
      });
    }
    for (const [writer, reader] of [
      [ours, stock],
      [stock, ours],
    ] as const) {
      for (const rule of rules) {
        const name = `by-${writer.kind}`;
        await checked(`${rule.resource}: ${writer.kind} writes, ${reader.kind} reads`, 10, async () => {
          const body = JSON.stringify(objectFor(rule.resource, name));
          expectStatus(await writer.ask(rule.path, { body }), 201, 409);
          const stored = await raw(rule.resource, name);
          if (!stored.startsWith(rule.prefix)) throw new Error(`stored as ${stored.slice(0, 40)}`);
          if (stored.includes(canary)) throw new Error('the store holds plain text');
          await sameAnswer(writer, reader, `${rule.path}/${name}`);
          expectStatus(await reader.ask(rule.path), 200);
        });
      }
    }
    setConfig(['key2', 'key1']);
    await checked('ours takes over a rotated key without a restart', 30, async () => {
      if (!/Took over a new encryption configuration/.test(ours.log())) throw new Error('not yet');
    });
    for (const rule of rules.slice(0, 3)) {
      await checked(
        `${rule.resource}: an update without a change rewrites under the new key`,
        10,
        async () => {
          const target = `${rule.path}/by-stock`;
          const { body } = expectStatus(await ours.ask(target), 200);
          expectStatus(await ours.ask(target, { method: 'PUT', body }), 200);
          const stored = await raw(rule.resource, 'by-stock');
          if (!stored.startsWith(`${rule.prefix}key2:`)) throw new Error(`stored as ${stored.slice(0, 40)}`);
          await sameAnswer(ours, stock, target);
        },
      );
    }
    plugin.rotate('key-2');
    await checked('a new key of the KMS is used and read by both', 70, async () => {
      expectStatus(await ours.ask('/healthz/kms-providers'), 200);
      const target = `${rules[3].path}/by-stock`;
      const { body } = expectStatus(await ours.ask(target), 200);
      expectStatus(await ours.ask(target, { method: 'PUT', body }), 200);
      if (!(await raw('*.apps', 'by-stock')).includes('key-2')) throw new Error('still under the old key');
      await sameAnswer(ours, stock, target);
    });
    await checked('metrics of transformations', 5, async () => {
      const { body } = await ours.ask('/metrics');
      if (
        !/apiserver_storage_transformation_operations_total\{[^}]*k8s:enc:aesgcm:v1:[^}]*\} [1-9]/.test(body)
      )
        throw new Error('no count');
    });
    plugin.stop();
    await checked('a plugin that is gone shows in /healthz/kms-providers', 60, async () => {
      expectStatus(await ours.ask('/healthz/kms-providers'), 500);
      expectStatus(await ours.ask(`${rules[3].path}/by-ours`), 200);
    });
    await checked('no key is in the log', 0, async () => {
      for (const name of ['key1', 'key2']) {
        if (ours.log().includes(secretOf(name.charCodeAt(3)))) throw new Error(`the secret of ${name}`);
      }
      return Promise.resolve();
    });
  } finally {
    await Promise.all([stock.stop(), ours.stop()]);
    plugin.stop();
    await cluster.stop();
  }
}

async function sameAnswer(one: ApiServerProcess, other: ApiServerProcess, target: string): Promise<void> {
  const answers = await Promise.all(
    [one, other].map(async (server) => expectStatus(await server.ask(target), 200).body),
  );
  const [first, second] = answers.map((body) => JSON.stringify(JSON.parse(body)));
  if (first !== second) throw new Error(`${one.kind}: ${first}\n${other.kind}: ${second}`);
  if (first?.includes(canary) !== true) throw new Error(`the canary is missing: ${first}`);
}
