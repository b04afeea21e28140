import type { KubeObject } from '@pilothouse/apimachinery';
import { deepEqual } from '../../storage/deep.ts';
import { CidrRange } from '../core/service/cidr-range.ts';
import type { InternalClient } from '../rest/rest-storage.ts';
import { ensureObject } from './ensure.ts';

export interface KubernetesServiceOptions {
  /** The first is the one of the Service's address. */
  readonly serviceCidrs: readonly string[];
  /** Port at which the servers listen. */
  readonly port: number;
  /** Of nodes; undefined: the Service has none. */
  readonly nodePort?: number | undefined;
}

const name = 'kubernetes';
const namespace = 'default';

/** The `kubernetes` Service by which workloads find the servers; its address is the first of the range. */
export async function ensureKubernetesService(
  client: InternalClient,
  options: KubernetesServiceOptions,
): Promise<void> {
  const clusterIP = new CidrRange(options.serviceCidrs[0] as string).at(0);
  const { nodePort } = options;
  const type = nodePort === undefined ? 'ClusterIP' : 'NodePort';
  const ports = [
    {
      name: 'https',
      protocol: 'TCP',
      port: 443,
      targetPort: options.port,
      ...(nodePort === undefined ? {} : { nodePort }),
    },
  ];
  await ensureObject(
    client,
    'services',
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels: { component: 'apiserver', provider: 'kubernetes' } },
      spec: {
        type,
        clusterIP,
        clusterIPs: [clusterIP],
        ipFamilies: [clusterIP.includes(':') ? 'IPv6' : 'IPv4'],
        ipFamilyPolicy: 'SingleStack',
        sessionAffinity: 'None',
        ports,
      },
    },
    (existing) => {
      if (deepEqual(existing['spec']?.ports, ports) && existing['spec']?.type === type) return undefined;
      existing['spec'] = { ...existing['spec'], type, ports };
      return existing;
    },
  );
}

/** Endpoints and EndpointSlice of the Service, with all servers that are alive. */
export async function reconcileEndpoints(
  client: InternalClient,
  addresses: readonly string[],
  port: number,
): Promise<void> {
  const ips = [...new Set(addresses)].sort();
  const addressType = ips[0]?.includes(':') === true ? 'IPv6' : 'IPv4';
  const mirrored = { 'endpointslice.kubernetes.io/skip-mirror': 'true' };
  const subsets =
    ips.length === 0
      ? []
      : [{ addresses: ips.map((ip) => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }];
  const endpoints: KubeObject = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name, namespace, labels: mirrored },
    ...(subsets.length === 0 ? {} : { subsets }),
  };
  await ensureObject(client, 'endpoints', endpoints, (existing) => {
    const isRight =
      deepEqual(existing['subsets'] ?? [], subsets) &&
      existing.metadata.labels?.['endpointslice.kubernetes.io/skip-mirror'] === 'true';
    if (isRight) return undefined;
    existing['subsets'] = subsets;
    existing.metadata.labels = { ...existing.metadata.labels, ...mirrored };
    return existing;
  });
  const slice: KubeObject = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
    addressType,
    endpoints: ips.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  };
  await ensureObject(client, 'endpointslices', slice, (existing) => {
    if (deepEqual(existing['endpoints'], slice['endpoints']) && deepEqual(existing['ports'], slice['ports']))
      return undefined;
    existing['endpoints'] = slice['endpoints'];
    existing['ports'] = slice['ports'];
    return existing;
  });
}
