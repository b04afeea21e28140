import { randomBytes } from 'node:crypto';
import type { ApiClient } from './api-client.ts';

export const namespacePath = '/api/v1/namespaces/bench';
export const configMaps = `${namespacePath}/configmaps`;
export const pods = `${namespacePath}/pods`;

const fillClients = 32;
const objectBytes = 1024;
const filler = randomBytes(objectBytes / 2).toString('hex');

/** A ConfigMap of about 1 KiB; `label` is the value of its label `app`. */
export function configMap(
  name: string,
  data: Readonly<Record<string, string>> = {},
  label = 'bench',
): Buffer {
  const metadata = { name, namespace: 'bench', labels: { app: label } };
  return Buffer.from(
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { filler, ...data } }),
  );
}

/** A pod as a Deployment makes them: two containers with probes, resources, environment and mounts. About 5 KiB when stored. */
export function pod(name: string): Buffer {
  const container = (each: string): object => ({
    name: each,
    image: `registry.example.com/team/${each}:1.2.3`,
    env: Array.from({ length: 8 }, (_, index) => ({ name: `SETTING_${index}`, value: `value-of-${index}` })),
    ports: [{ containerPort: 8080, name: 'http', protocol: 'TCP' }],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    readinessProbe: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 10 },
    livenessProbe: { httpGet: { path: '/live', port: 8080 }, periodSeconds: 10 },
    volumeMounts: [{ name: 'config', mountPath: '/etc/config' }],
  });
  return Buffer.from(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace: 'bench',
        labels: { app: 'bench', 'pod-template-hash': 'abcdef' },
        annotations: { 'example.com/checksum': filler.slice(0, 64) },
        ownerReferences: [
          {
            apiVersion: 'apps/v1',
            kind: 'ReplicaSet',
            name: 'bench',
            uid: '7f3c1f1e-4a4e-4d0c-9a53-5d0a6a6f1f00',
            controller: true,
          },
        ],
      },
      spec: {
        nodeName: `node-${name.length}`,
        automountServiceAccountToken: false,
        containers: [container('web'), container('sidecar')],
        volumes: [{ name: 'config', configMap: { name: 'settings' } }],
      },
    }),
  );
}

export async function createNamespace(client: ApiClient): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bench' } };
  await client.expect(201, 'POST', '/api/v1/namespaces', Buffer.from(JSON.stringify(namespace)));
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  // No controllers run that would make it, and pods need it.
  await client.expect(201, 'POST', `${namespacePath}/serviceaccounts`, Buffer.from(JSON.stringify(account)));
}

/** Creates objects number `from` to `to` - 1. */
export async function fill(
  client: ApiClient,
  collection: string,
  from: number,
  to: number,
  body: (index: number) => Buffer,
): Promise<void> {
  let next = from;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < to; index = next++)
      await client.expect(201, 'POST', collection, body(index), { keepBody: false });
  };
  await Promise.all(Array.from({ length: fillClients }, worker));
}
