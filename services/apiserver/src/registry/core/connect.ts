import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { validateLogOptions } from './pod/log-options.ts';
import type { NodeDialer, NodeTarget, RegistryDelegates } from '../delegates.ts';
import type {
  ConnectHandler,
  InternalClient,
  ResourceDescriptor,
  RestContext,
  RestStorage,
} from '../rest/rest-storage.ts';

export interface ConnectServices {
  readonly client: InternalClient;
  readonly delegates: RegistryDelegates;
}

const kubeletPort = 10250;

/** log, exec, attach, port-forward and proxy of pods, and proxy of Services and Nodes: streams to a node or a workload. */
export function connectStore(resource: ResourceDescriptor, services: ConnectServices): RestStorage {
  const target =
    resource.resource === 'nodes'
      ? nodeProxyTarget
      : resource.resource === 'services'
        ? serviceProxyTarget
        : podTarget;
  return {
    resource,
    async connect(context, name, path, query): Promise<ConnectHandler> {
      if (resource.subresource === 'log') {
        validateLogOptions(name, query);
        if (await hasNoLog(services.client, context, name, query)) return emptyAnswer;
      }
      const to = await target(resource.subresource, services.client, context, name, path, query);
      return dialerOf(services.delegates).proxy(to);
    },
  };
}

/** The log of a pod that no node runs yet is empty. */
async function hasNoLog(
  client: InternalClient,
  context: RestContext,
  name: string,
  query: URLSearchParams,
): Promise<boolean> {
  const pod = await client.get('', 'v1', 'pods', context.namespace, name);
  containerOf(pod, query.get('container') ?? '');
  return ((pod['spec']?.nodeName as string | undefined) ?? '') === '';
}

const emptyAnswer: ConnectHandler = {
  handle(_request, response) {
    response.writeHead(204).end();
  },
};

function dialerOf(delegates: RegistryDelegates): NodeDialer {
  if (delegates.dialer === undefined) {
    throw statusErrors.serviceUnavailable('This server has no way to connect to nodes');
  }
  return delegates.dialer;
}

type FindTarget = (
  subresource: string,
  client: InternalClient,
  context: RestContext,
  name: string,
  path: string,
  query: URLSearchParams,
) => Promise<NodeTarget>;

const podTarget: FindTarget = async (subresource, client, context, name, path, query) => {
  if (subresource === 'proxy') return podProxyTarget(client, context, name, path, query);
  const pod = await client.get('', 'v1', 'pods', context.namespace, name);
  const container = subresource === 'portforward' ? '' : containerOf(pod, query.get('container') ?? '');
  const node = (pod['spec']?.nodeName as string | undefined) ?? '';
  const namespace = pod.metadata.namespace ?? '';
  if (node === '') {
    throw statusErrors.badRequest(`pod ${name} does not have a host assigned`);
  }
  const connection = await nodeConnection(client, node);
  const parameters = new URLSearchParams(query);
  parameters.delete('container');
  if (subresource === 'log') {
    return { ...connection, path: withQuery(`/containerLogs/${namespace}/${name}/${container}`, parameters) };
  }
  renameStreams(parameters);
  const verb = subresource === 'portforward' ? 'portForward' : subresource;
  const place = subresource === 'portforward' ? `${namespace}/${name}` : `${namespace}/${name}/${container}`;
  return { ...connection, path: withQuery(`/${verb}/${place}`, parameters) };
};

/** stdin, stdout, stderr, tty of the API are input, output, error, tty of a node. */
function renameStreams(parameters: URLSearchParams): void {
  for (const [name, nodeName] of [
    ['stdin', 'input'],
    ['stdout', 'output'],
    ['stderr', 'error'],
    ['tty', 'tty'],
  ] as const) {
    const value = parameters.get(name);
    parameters.delete(name);
    if (value === 'true' || value === '1') parameters.set(nodeName, '1');
  }
}

/** The container that is meant; texts as upstream's. */
function containerOf(pod: KubeObject, wanted: string): string {
  const names = (list: unknown): string[] => ((list ?? []) as { name: string }[]).map((each) => each.name);
  const spec = (pod['spec'] ?? {}) as Record<string, unknown>;
  const containers = names(spec['containers']);
  const inits = names(spec['initContainers']);
  const ephemeral = names(spec['ephemeralContainers']);
  const podName = pod.metadata.name ?? '';
  if (wanted !== '') {
    if ([...containers, ...inits, ...ephemeral].includes(wanted)) return wanted;
    throw statusErrors.badRequest(`container ${wanted} is not valid for pod ${podName}`);
  }
  if (containers.length === 1) return containers[0] as string;
  const byDefault = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (byDefault !== undefined && containers.includes(byDefault)) return byDefault;
  const all = [...inits, ...containers, ...ephemeral].join(' ');
  const text = `a container name must be specified for pod ${podName}, choose one of: [${all}]`;
  throw statusErrors.badRequest(text);
}

async function podProxyTarget(
  client: InternalClient,
  context: RestContext,
  id: string,
  path: string,
  query: URLSearchParams,
): Promise<NodeTarget> {
  const { scheme, name, port } = splitId(id);
  const pod = await client.get('', 'v1', 'pods', context.namespace, name);
  let number = port === '' ? 0 : Number(port);
  const ports = (
    (pod['spec']?.containers ?? []) as { ports?: { containerPort: number; name?: string }[] }[]
  ).flatMap((container) => container.ports ?? []);
  if (port === '') number = ports[0]?.containerPort ?? 80;
  else if (Number.isNaN(number)) number = ports.find((each) => each.name === port)?.containerPort ?? 0;
  const ip = (pod['status']?.podIP as string | undefined) ?? '';
  if (ip === '') throw statusErrors.badRequest('address not allowed');
  return { scheme, host: ip, port: number, path: withQuery(`/${path}`, query), asKubelet: false };
}

const serviceProxyTarget: FindTarget = async (_subresource, client, context, id, path, query) => {
  const { scheme, name, port } = splitId(id);
  const service = await client.get('', 'v1', 'services', context.namespace, name);
  const ports = (service['spec']?.ports ?? []) as { name?: string; port: number }[];
  const wanted =
    port === '' && ports.length === 1
      ? ports[0]
      : ports.find((each) => (each.name ?? '') === port || String(each.port) === port);
  if (wanted === undefined)
    throw statusErrors.serviceUnavailable(
      `no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`,
    );
  const slices = client.watchCache('discovery.k8s.io', 'endpointslices')?.list(context.namespace) ?? [];
  for (const slice of slices) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== name) continue;
    const slicePort = ((slice['ports'] ?? []) as { name?: string; port?: number }[]).find(
      (each) => (each.name ?? '') === (wanted.name ?? ''),
    );
    if (slicePort?.port === undefined) continue;
    for (const endpoint of (slice['endpoints'] ?? []) as {
      addresses?: string[];
      conditions?: { ready?: boolean };
    }[]) {
      const address = endpoint.addresses?.[0];
      if (address === undefined || endpoint.conditions?.ready === false) continue;
      return {
        scheme,
        host: address,
        port: slicePort.port,
        path: withQuery(`/${path}`, query),
        asKubelet: false,
      };
    }
  }
  throw statusErrors.serviceUnavailable(`no endpoints available for service ${JSON.stringify(id)}`);
};

const nodeProxyTarget: FindTarget = async (_subresource, client, _context, id, path, query) => {
  const { scheme, name, port } = splitId(id);
  const connection = await nodeConnection(client, name);
  const own = port === '' || Number(port) === connection.port;
  return {
    ...connection,
    scheme: own ? connection.scheme : scheme,
    port: own ? connection.port : Number(port),
    path: withQuery(`/${path}`, query),
    asKubelet: own,
  };
};

async function nodeConnection(client: InternalClient, name: string): Promise<NodeTarget> {
  const node = await client.get('', 'v1', 'nodes', '', name);
  const addresses = (node['status']?.addresses ?? []) as { type: string; address: string }[];
  const byType = (type: string): string | undefined => addresses.find((each) => each.type === type)?.address;
  const host =
    byType('Hostname') ??
    byType('InternalDNS') ??
    byType('InternalIP') ??
    byType('ExternalDNS') ??
    byType('ExternalIP');
  // Addresses of a node that runs in another network are given as IPs; those can always be dialled.
  const reachable = byType('InternalIP') ?? host;
  if (reachable === undefined)
    throw statusErrors.internal(`no preferred addresses found; known addresses: []`);
  const port = (node['status']?.daemonEndpoints?.kubeletEndpoint?.Port as number | undefined) ?? kubeletPort;
  return { scheme: 'https', host: reachable, port, path: '/', asKubelet: true };
}

/** `[scheme:]name[:port]`. */
function splitId(id: string): { scheme: 'http' | 'https'; name: string; port: string } {
  const parts = id.split(':');
  if (parts.length === 1) return { scheme: 'http', name: id, port: '' };
  if (parts.length === 2) return { scheme: 'http', name: parts[0] as string, port: parts[1] as string };
  const [scheme, name, port] = parts as [string, string, string];
  if (parts.length !== 3 || (scheme !== 'http' && scheme !== 'https' && scheme !== '')) {
    throw statusErrors.badRequest(`invalid request ${JSON.stringify(id)}`);
  }
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port };
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}
