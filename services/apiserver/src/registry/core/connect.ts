import { statusErrors } from '@pilothouse/apimachinery';
import type { ConnectPolicy, NodeDialer, NodeTarget, RegistryDelegates } from '../delegates.ts';
import type {
  ConnectHandler,
  InternalClient,
  ResourceDescriptor,
  RestContext,
  RestStorage,
} from '../rest/rest-storage.ts';
import { defaultPolicy, nodeConnection } from './connect/node-connection.ts';
import { containerOf } from './connect/pod-container.ts';
import { nodeProxyTarget, podProxyTarget, serviceProxyTarget } from './connect/proxy-target.ts';
import { workloadPath } from './connect/target-name.ts';
import { validateLogOptions } from './pod/log-options.ts';

export interface ConnectServices {
  readonly client: InternalClient;
  readonly delegates: RegistryDelegates;
}

/** log, exec, attach, port-forward and proxy of pods, and proxy of Services and Nodes: streams to a node or a workload. */
export function connectStore(resource: ResourceDescriptor, services: ConnectServices): RestStorage {
  const { client, delegates } = services;
  const policy = (): ConnectPolicy => delegates.connectPolicy ?? defaultPolicy;
  const connect: NonNullable<RestStorage['connect']> = async (context, name, path, query) => {
    switch (resource.subresource) {
      case 'log':
        return connectLog(services, policy(), context, name, query);
      case 'proxy': {
        const find =
          resource.resource === 'nodes'
            ? nodeProxyTarget
            : resource.resource === 'services'
              ? serviceProxyTarget
              : podProxyTarget;
        const target = await find(client, context, name, policy());
        const endsWithSlash = path.endsWith('/');
        return dialerOf(delegates).proxy({
          ...target,
          path: workloadPath(path.replace(/^\/+|\/+$/g, ''), query, endsWithSlash),
        });
      }
      default:
        await requireCreate(services, resource, context, name);
        return connectStream(resource.subresource, services, policy(), context, name, query);
    }
  };
  return { resource, connect };
}

function dialerOf(delegates: RegistryDelegates): NodeDialer {
  if (delegates.dialer === undefined) {
    throw statusErrors.serviceUnavailable('This server has no way to connect to nodes');
  }
  return delegates.dialer;
}

/**
 * A WebSocket begins with GET, SPDY with POST; to change something inside a pod always needs `create`, so that a role that may only read
 * cannot execute (feature AuthorizePodWebsocketUpgradeCreatePermission, on since 1.35).
 */
async function requireCreate(
  { delegates }: ConnectServices,
  resource: ResourceDescriptor,
  context: RestContext,
  name: string,
): Promise<void> {
  if (!delegates.authorizer) throw statusErrors.internal('no authorizer available');
  const { decision, reason } = await delegates.authorizer.authorize({
    user: context.user,
    verb: 'create',
    isResourceRequest: true,
    namespace: context.namespace,
    apiGroup: resource.group,
    apiVersion: resource.version,
    resource: resource.resource,
    subresource: resource.subresource,
    name,
    path: '',
  });
  if (decision === 'allow') return;
  throw statusErrors.forbidden({ group: resource.group, resource: resource.resource }, name, reason);
}

/** The log of a pod that no node runs yet is empty. */
const emptyAnswer: ConnectHandler = {
  handle(_request, response) {
    response.writeHead(204).end();
  },
};

async function connectLog(
  { client, delegates }: ConnectServices,
  policy: ConnectPolicy,
  context: RestContext,
  name: string,
  query: URLSearchParams,
): Promise<ConnectHandler> {
  validateLogOptions(name, query);
  const pod = await client.get('', 'v1', 'pods', context.namespace, name);
  const container = containerOf(pod, query.get('container') ?? '');
  const node = (pod['spec']?.nodeName as string | undefined) ?? '';
  if (node === '') return emptyAnswer;
  const { target } = await nodeConnection(client, node, policy);
  const parameters = new URLSearchParams();
  for (const flag of ['follow', 'previous', 'timestamps'])
    if (isTrue(query.get(flag))) parameters.set(flag, 'true');
  for (const key of ['sinceSeconds', 'sinceTime', 'tailLines', 'limitBytes', 'stream']) {
    const value = query.get(key) ?? '';
    if (value !== '') parameters.set(key, value);
  }
  const path = withQuery(`/containerLogs/${context.namespace}/${name}/${container}`, parameters);
  const unverified = isTrue(query.get('insecureSkipTLSVerifyBackend'));
  return dialerOf(delegates).log({ ...target, path, unverified }, name);
}

async function connectStream(
  subresource: string,
  { client, delegates }: ConnectServices,
  policy: ConnectPolicy,
  context: RestContext,
  name: string,
  query: URLSearchParams,
): Promise<ConnectHandler> {
  const pod = await client.get('', 'v1', 'pods', context.namespace, name);
  const ports = subresource === 'portforward';
  const container = ports ? '' : containerOf(pod, query.get('container') ?? '');
  const node = (pod['spec']?.nodeName as string | undefined) ?? '';
  if (node === '') throw statusErrors.badRequest(`pod ${name} does not have a host assigned`);
  const { target, takesWebSockets } = await nodeConnection(client, node, policy);
  const to = (path: string, parameters: URLSearchParams): NodeTarget => ({
    ...target,
    path: withQuery(path, parameters),
  });
  const parameters = new URLSearchParams();
  if (ports) {
    const wanted = query.getAll('ports').filter((each) => each !== '');
    if (wanted.length > 0) parameters.set('port', wanted.join(','));
    return dialerOf(delegates).stream(to(`/portForward/${context.namespace}/${name}`, parameters), {
      type: 'ports',
      nodeTakesWebSockets: takesWebSockets,
    });
  }
  const options = {
    stdin: isTrue(query.get('stdin')),
    stdout: isTrue(query.get('stdout')),
    stderr: isTrue(query.get('stderr')),
    tty: isTrue(query.get('tty')),
  };
  // stdin, stdout, stderr and tty of the API are input, output, error and tty of a node.
  if (options.stdin) parameters.set('input', '1');
  if (options.stdout) parameters.set('output', '1');
  if (options.stderr) parameters.set('error', '1');
  if (options.tty) parameters.set('tty', '1');
  if (subresource === 'exec') for (const word of query.getAll('command')) parameters.append('command', word);
  const path = `/${subresource}/${context.namespace}/${name}/${container}`;
  return dialerOf(delegates).stream(to(path, parameters), {
    type: 'command',
    nodeTakesWebSockets: takesWebSockets,
    options,
  });
}

/** Go's parameter conversion: everything but `false` and `0` counts as true once given. */
function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}
