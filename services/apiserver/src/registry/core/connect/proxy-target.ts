import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { ConnectPolicy, NodeTarget } from '../../delegates.ts';
import type { InternalClient, RestContext } from '../../rest/rest-storage.ts';
import { nodeConnection, requireReachableHost } from './node-connection.ts';
import { mayReach, requireReachable } from './reachable.ts';
import { parseTargetName } from './target-name.ts';

/** Finds where `proxy` leads; the path is put in by the caller. Texts as upstream's. */
export type FindProxyTarget = (
  client: InternalClient,
  context: RestContext,
  id: string,
  policy: ConnectPolicy,
) => Promise<NodeTarget>;

export const podProxyTarget: FindProxyTarget = async (client, context, id, policy) => {
  const parsed = parseTargetName(id);
  if (!parsed) throw statusErrors.badRequest(`invalid pod request ${goQuote(id)}`);
  const { scheme, name, port } = parsed;
  const pod = await client.get('', 'v1', 'pods', context.namespace, name);
  const ports = (
    (pod['spec']?.containers ?? []) as { ports?: { containerPort: number; name?: string }[] }[]
  ).flatMap((container) => container.ports ?? []);
  const wanted = port === '' ? ports[0]?.containerPort : portNumber(port);
  const ip = (pod['status']?.podIPs?.[0]?.ip ?? pod['status']?.podIP ?? '') as string;
  requireReachable(ip, policy.loopback);
  return {
    scheme,
    host: ip,
    port: wanted ?? (scheme === 'https' ? 443 : 80),
    path: '',
    asKubelet: false,
  };
};

/** A port of a pod is a number; upstream finds that out when it dials. */
function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port > 0 && port <= 0xffff) return port;
  throw statusErrors.serviceUnavailable(
    `error trying to reach service: dial tcp: lookup tcp/${text}: unknown port`,
  );
}

interface Subset {
  addresses?: { ip: string; targetRef?: { kind?: string; name?: string; namespace?: string } }[];
  ports?: { name?: string; port: number }[];
}

/** A ready endpoint of a service, the next one each time. Only addresses that are pods of the namespace are used. */
export const serviceProxyTarget: FindProxyTarget = async (client, context, id, policy) => {
  const parsed = parseTargetName(id);
  if (!parsed) throw statusErrors.badRequest(`invalid service request ${goQuote(id)}`);
  const { scheme, name } = parsed;
  let { port } = parsed;
  const service = await client.get('', 'v1', 'services', context.namespace, name);
  if (/^[+-]?\d+$/.test(port)) {
    const ports = (service['spec']?.ports ?? []) as { name?: string; port: number }[];
    const found = ports.find((each) => each.port === Number(port));
    if (!found)
      throw statusErrors.serviceUnavailable(
        `no service port ${Number(port)} found for service ${goQuote(name)}`,
      );
    port = found.name ?? '';
  }
  const endpoints = await client.get('', 'v1', 'endpoints', context.namespace, name);
  const subsets = (endpoints['subsets'] ?? []) as Subset[];
  if (subsets.length === 0)
    throw statusErrors.serviceUnavailable(`no endpoints available for service ${goQuote(name)}`);
  const candidates = subsets.flatMap((subset) => {
    const found = (subset.ports ?? []).find((each) => (each.name ?? '') === port);
    return found ? (subset.addresses ?? []).map((address) => ({ address, port: found.port })) : [];
  });
  const start = turn++ % Math.max(1, candidates.length);
  for (let tries = 0; tries < candidates.length; tries++) {
    const candidate = candidates[(start + tries) % candidates.length] as (typeof candidates)[number];
    // A node says what the addresses of its pods are: it must not send this server to its own or to the cloud's services.
    if (!mayReach(candidate.address.ip, policy.loopback)) continue;
    if (await isPodAddress(client, context, candidate.address))
      return { scheme, host: candidate.address.ip, port: candidate.port, path: '', asKubelet: false };
  }
  throw statusErrors.serviceUnavailable(`no endpoints available for service ${goQuote(id)}`);
};

let turn = 0;

async function isPodAddress(
  client: InternalClient,
  context: RestContext,
  address: NonNullable<Subset['addresses']>[number],
): Promise<boolean> {
  const { targetRef } = address;
  if (targetRef?.namespace !== context.namespace || targetRef.name === undefined) return false;
  let pod: KubeObject;
  try {
    pod = await client.get('', 'v1', 'pods', context.namespace, targetRef.name);
  } catch {
    return false;
  }
  const ips = (pod['status']?.podIPs ?? []) as { ip: string }[];
  return ips.some((each) => each.ip === address.ip);
}

/** The node's own server, or another port of it. */
export const nodeProxyTarget: FindProxyTarget = async (client, _context, id, policy) => {
  const parsed = parseTargetName(id);
  if (!parsed) throw statusErrors.badRequest(`invalid node request ${goQuote(id)}`);
  const { target } = await nodeConnection(client, parsed.name, policy);
  await requireReachableHost(target.host, policy);
  if (parsed.port === '' || parsed.port === String(target.port)) return { ...target, path: '' };
  return {
    scheme: parsed.scheme,
    host: target.host,
    port: portNumber(parsed.port),
    path: '',
    asKubelet: false,
  };
};
