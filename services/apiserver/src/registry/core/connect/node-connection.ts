import { lookup } from 'node:dns/promises';
import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { isIP } from 'node:net';
import type { ConnectPolicy, NodeTarget } from '../../delegates.ts';
import type { InternalClient } from '../../rest/rest-storage.ts';
import { requireReachable } from './reachable.ts';

const kubeletPort = 10250;
const feature = 'ExtendWebSocketsToKubelet';

/** As --kubelet-preferred-address-types has it by default. */
export const defaultPolicy: ConnectPolicy = {
  addressTypes: ['Hostname', 'InternalDNS', 'InternalIP', 'ExternalDNS', 'ExternalIP'],
  loopback: false,
};

export interface NodeConnection {
  readonly target: NodeTarget;
  /** The node takes the newer WebSocket protocols itself. */
  readonly takesWebSockets: boolean;
}

/**
 * How to reach the server of a node. Throws 404 for a node that is not there, 500 for one without a usable address, 400 for one at an
 * address that no node has: link-local, multicast, unspecified. Loopback is left to those paths where a client names what is asked.
 */
export async function nodeConnection(
  client: InternalClient,
  name: string,
  policy: ConnectPolicy,
): Promise<NodeConnection> {
  const node = await client.get('', 'v1', 'nodes', '', name);
  const host = preferredAddress(node, policy);
  if (isIP(host) !== 0) requireReachable(host, true);
  const port = (node['status']?.daemonEndpoints?.kubeletEndpoint?.Port as number | undefined) ?? 0;
  const features = (node['status']?.declaredFeatures ?? []) as string[];
  return {
    target: {
      scheme: 'https',
      host,
      port: port > 0 ? port : kubeletPort,
      path: '/',
      asKubelet: true,
    },
    takesWebSockets: features.includes(feature),
  };
}

function preferredAddress(node: KubeObject, policy: ConnectPolicy): string {
  const addresses = (node['status']?.addresses ?? []) as { type: string; address: string }[];
  for (const type of policy.addressTypes) {
    const found = addresses.find((each) => each.type === type);
    if (found) return found.address;
  }
  const known = addresses.map((each) => `{${each.type} ${each.address}}`).join(' ');
  throw statusErrors.internal(`no preferred addresses found; known addresses: [${known}]`);
}

/** A client may name the path: the node's address is checked as a pod's is. Throws 400. */
export async function requireReachableHost(host: string, policy: ConnectPolicy): Promise<void> {
  if (isIP(host) !== 0) {
    requireReachable(host, policy.loopback);
    return;
  }
  let found: { address: string }[];
  try {
    found = await lookup(host, { all: true });
  } catch {
    throw statusErrors.badRequest(`lookup ${host}: no such host`);
  }
  for (const { address } of found) requireReachable(address, policy.loopback);
}
