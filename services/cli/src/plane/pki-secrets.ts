import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { RestClient } from '@pilothouse/client';

const secrets = { group: '', version: 'v1', resource: 'secrets' } as const;

interface Secret extends KubeObject {
  data?: Record<string, string>;
}

/** Key in a Secret for a file of the PKI: a slash is not allowed there. */
const keyOf = (file: string): string => file.replaceAll('/', '__');
const fileOf = (key: string): string => key.replaceAll('__', '/');

const pair = (name: string): string[] => [`${name}.crt`, `${name}.key`];

/**
 * Files that each component needs and nothing more, by the suffix of its Secret. `kubeconfig/…` come from the kubeconfig
 * directory, all others from the PKI's.
 */
export const componentFiles: Readonly<Record<string, readonly string[]>> = {
  store: [...pair('etcd/server'), ...pair('etcd/peer'), ...pair('etcd/client'), 'etcd/ca.crt'],
  apiserver: [
    'ca.crt',
    'ca.crl',
    'etcd/ca.crt',
    'front-proxy-ca.crt',
    'sa.key',
    'sa.pub',
    ...pair('apiserver'),
    ...pair('apiserver-etcd-client'),
    ...pair('apiserver-kubelet-client'),
    ...pair('front-proxy-client'),
  ],
  scheduler: ['ca.crt', ...pair('scheduler'), 'kubeconfig/scheduler.yaml'],
  'controller-manager': [
    ...pair('ca'),
    'sa.key',
    ...pair('controller-manager'),
    'kubeconfig/controller-manager.yaml',
  ],
  // A serving pair, and what opens the store; whoever logs in brings credentials of their own.
  console: ['ca.crt', 'etcd/ca.crt', ...pair('etcd/client'), ...pair('console')],
  // The pair is in the kubeconfig as well; a Prometheus wants files.
  admin: ['ca.crt', ...pair('admin'), 'kubeconfig/admin.yaml'],
};

/** Fills `directory` with the PKI kept in Secret `<prefix>-pki`; nothing happens when there is none yet. */
export async function restorePki(
  client: RestClient,
  namespace: string,
  prefix: string,
  directory: string,
): Promise<void> {
  let secret: Secret;
  try {
    secret = await client.get<Secret>(secrets, `${prefix}-pki`, { namespace });
  } catch (error) {
    if (hasReason(error, 'NotFound')) return;
    throw error;
  }
  for (const [key, value] of Object.entries(secret.data ?? {})) {
    const file = path.join(directory, fileOf(key));
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, Buffer.from(value, 'base64'), { mode: 0o600 });
  }
}

function filesBelow(directory: string): string[] {
  return (readdirSync(directory, { recursive: true }) as string[])
    .filter((file) => /\.(crt|key|pub|crl)$/.test(file) && statSync(path.join(directory, file)).isFile())
    .sort();
}

/**
 * Writes the PKI to `<prefix>-pki` (everything, for the next run) and to one Secret a component with only its files, by
 * server-side apply. Node files go to `<prefix>-nodes`; a console that has no certificate gets no Secret.
 */
export async function savePki(
  client: RestClient,
  namespace: string,
  prefix: string,
  directory: string,
  kubeconfigDirectory: string,
): Promise<string[]> {
  const read = (file: string): string =>
    readFileSync(
      file.startsWith('kubeconfig/')
        ? path.join(kubeconfigDirectory, file.slice('kubeconfig/'.length))
        : path.join(directory, file),
    ).toString('base64');
  const all = filesBelow(directory);
  const nodes = all.filter((file) => file.startsWith('nodes/'));
  const { console: consoleFiles, ...components } = componentFiles;
  const plans: Record<string, readonly string[]> = { pki: all, ...components };
  if (consoleFiles !== undefined && all.includes('console.crt')) plans['console'] = consoleFiles;
  if (nodes.length > 0)
    plans['nodes'] = [
      'ca.crt',
      ...nodes,
      ...nodes
        .filter((file) => file.endsWith('.crt'))
        .map((file) => `kubeconfig/${path.basename(file, '.crt')}.yaml`),
    ];
  const names: string[] = [];
  for (const [suffix, files] of Object.entries(plans)) {
    const name = `${prefix}-${suffix}`;
    await client.patch(
      secrets,
      name,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'pilothouse-certs' } },
        type: 'Opaque',
        // A kubeconfig is found under its own name.
        data: Object.fromEntries(files.map((file) => [keyOf(file.replace(/^kubeconfig\//, '')), read(file)])),
      },
      { namespace, type: 'apply', fieldManager: 'pilothouse-certs', force: true },
    );
    names.push(name);
  }
  return names;
}
